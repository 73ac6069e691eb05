-- One row a live publication. Its number follows the publication time, so that "newest" is index order.
CREATE TABLE search_docs (
    row_id INTEGER PRIMARY KEY NOT NULL,
    article_id TEXT NOT NULL UNIQUE REFERENCES publications (article_id) ON DELETE CASCADE,
    title_exact TEXT NOT NULL,
    title_folded TEXT NOT NULL,
    lead_exact TEXT NOT NULL,
    lead_folded TEXT NOT NULL
);

-- The words of search_docs, under the same numbers. They come cut and folded; the tokenizer only splits at spaces.
-- Beginnings have indexes of their own: the last word of a query is one, and gathering all that goes on from it is slow.
CREATE VIRTUAL TABLE search_words USING fts5 (
    exact, folded, content='', contentless_delete=1, tokenize='ascii', prefix='1 2 3 4 5'
);

-- A publication that is erased takes its words with it.
CREATE TRIGGER search_docs_gone AFTER DELETE ON search_docs BEGIN
    DELETE FROM search_words WHERE rowid = old.row_id;
END;
