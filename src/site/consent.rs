//! The first text that readers consent to before they write to the newsroom. The newsroom rewrites it over the API.

use std::collections::BTreeMap;

const VI: &str = "Khi bạn gửi thư, {site} lưu họ tên, địa chỉ thư điện tử, nội dung thư và, nếu bạn cung cấp, số điện \
thoại, địa chỉ liên hệ của bạn, cùng thời điểm bạn đồng ý và phiên bản của văn bản này. Chúng tôi chỉ dùng những thông \
tin đó để đọc, kiểm tra và trả lời thư của bạn. Chỉ những người phụ trách thư bạn đọc của tòa soạn xem được thông tin \
liên hệ; thông tin này không được đăng lên trang và không được chuyển cho bên khác, trừ khi pháp luật bắt buộc. Họ tên \
và nội dung thư chỉ được hiển thị trên trang khi bạn cho phép riêng.

Họ tên và thông tin liên hệ được xóa sau {days} ngày kể từ khi gửi thư; tên được hiển thị theo sự cho phép của bạn được \
giữ đến khi bạn rút lại sự cho phép đó.

Bạn có thể yêu cầu xem, chỉnh sửa hoặc xóa thông tin của mình, hoặc rút lại sự đồng ý, bất cứ lúc nào và không cần nêu \
lý do: hãy liên hệ tòa soạn {site} và cho biết mã tra cứu nhận được khi gửi thư. Việc rút lại không ảnh hưởng đến những \
gì đã được xử lý hợp pháp trước đó. Bạn không bắt buộc phải đồng ý; nếu không đồng ý, thư không thể gửi được.";

const EN: &str = "When you send a message, {site} stores your name, your e-mail address, your message and, if you give \
them, your phone number and postal address, together with the time of your consent and the version of this text. We use \
them only to read your message, to check it and to answer you. Only the newsroom's staff who look after readers' \
messages see your contact details; they are not published, and are not passed to anyone else unless the law obliges us. \
Your name and message appear on the site only if you allow that separately.

Your name and contact details are removed {days} days after you send the message; a name shown with your permission \
stays until you withdraw that permission.

You may ask to see, correct or erase what is stored about you, or withdraw your consent, at any time and without giving \
a reason: contact the newsroom of {site} and name the reference you were given when you sent the message. Withdrawing \
does not change that what was done before was lawful. You need not consent; without consent the message cannot be sent.";

/// The texts by language.
pub fn first_texts(site_name: &str, retention_days: i64, default_language: &str) -> BTreeMap<String, String> {
    let fill = |text: &str| {
        text.replace("{days}", &retention_days.to_string())
            .replace("{site}", site_name)
    };
    let mut texts = BTreeMap::from([("vi", VI), ("en", EN)].map(|(language, text)| (language.to_owned(), fill(text))));
    // A site in another language has a text from the first day on; its editors will write a better one.
    texts.entry(default_language.to_owned()).or_insert_with(|| fill(EN));
    texts
}
