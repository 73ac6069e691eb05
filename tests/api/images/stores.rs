//! Where the bytes are kept: nothing is lost, nothing stays for ever.
