//! Stories to load the newsroom with: made-up Vietnamese news, the same for the same number.

use std::fmt::Write;

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

/// Where the numbers start. Another seed is another newsroom.
pub const SEED: u64 = 20_261_125;
/// Bytes of a story's body, as Markdown.
pub const BODY: usize = 4096;
/// Two words that half of the stories have, and no other sentence.
pub const HALF: &str = "khuyến nông";
/// Two words that one story in a hundred has, and no other sentence.
pub const RARE: &str = "rằm nguyệt";
/// Minutes between two stories.
const PACE: i64 = 7;

/// Names of the sections.
pub const SECTIONS: [&str; 12] = [
    "Thời sự",
    "Kinh tế",
    "Giáo dục",
    "Y tế",
    "Văn hóa",
    "Thể thao",
    "Đời sống",
    "Khoa học",
    "Giao thông",
    "Môi trường",
    "Du lịch",
    "Bạn đọc",
];
/// Each of the first hundred tags is on one story in a hundred, each of the others on one in fifty.
pub const TAGS: usize = 200;
/// How many authors there are.
pub const AUTHORS: usize = 40;

const TOPICS: [&str; 20] = [
    "Cầu mới",
    "Chợ phiên",
    "Trường học",
    "Bến xe",
    "Đê kè",
    "Rừng già",
    "Hồ chứa",
    "Làng nghề",
    "Lễ hội",
    "Bệnh viện",
    "Đường sắt",
    "Thư viện",
    "Sân vận động",
    "Nhà máy",
    "Vườn chè",
    "Phố cổ",
    "Bảo tàng",
    "Công viên",
    "Trạm bơm",
    "Hợp tác xã",
];
const PLACES: [&str; 16] = [
    "Thái Nguyên",
    "Đồng Hỷ",
    "Phú Bình",
    "Võ Nhai",
    "Định Hóa",
    "Phổ Yên",
    "Sông Công",
    "Đại Từ",
    "Phú Lương",
    "Bắc Kạn",
    "Tuyên Quang",
    "Cao Bằng",
    "Lạng Sơn",
    "Hà Giang",
    "Yên Bái",
    "Hòa Bình",
];
const FAMILY: [&str; 8] = ["Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Vũ", "Đặng", "Bùi"];
const GIVEN: [&str; 5] = ["Minh Châu", "Thu Hà", "Quốc Bảo", "Hải Yến", "Đức Anh"];
const SOURCES: [&str; 10] = [
    "Báo Thái Nguyên",
    "Đài tỉnh",
    "Cổng thông tin",
    "Bản tin huyện",
    "Sở Y tế",
    "Sở Giáo dục",
    "Ban quản lý",
    "Hội nhà báo",
    "Phòng văn hóa",
    "Trạm khí tượng",
];
const TIMES: [&str; 12] = [
    "Sáng nay",
    "Chiều qua",
    "Cuối tuần này",
    "Từ đầu tháng",
    "Theo kế hoạch",
    "Trong quý tới",
    "Sau mưa lớn",
    "Trước năm học mới",
    "Hôm thứ hai",
    "Đến giữa năm",
    "Tối hôm trước",
    "Nhiều ngày liền",
];
const SUBJECTS: [&str; 20] = [
    "chính quyền xã",
    "ban quản lý dự án",
    "hơn một trăm hộ dân",
    "đoàn công tác của tỉnh",
    "các thầy cô giáo",
    "đội thi công",
    "lực lượng cứu hộ",
    "người trồng chè",
    "hội phụ nữ",
    "đoàn thanh niên",
    "nhóm kỹ sư trẻ",
    "bác sĩ tuyến huyện",
    "chủ các cửa hàng",
    "ngành đường sắt",
    "câu lạc bộ bóng đá",
    "phụ huynh học sinh",
    "nghệ sĩ địa phương",
    "tổ tự quản",
    "doanh nghiệp vận tải",
    "cơ quan khí tượng",
];
const VERBS: [&str; 16] = [
    "đã hoàn thành",
    "bắt đầu khảo sát",
    "đề nghị lùi thời hạn",
    "khánh thành",
    "kiểm tra",
    "đóng góp ý kiến về",
    "cùng nhau dọn dẹp",
    "mở rộng",
    "tạm dừng",
    "tổ chức lại",
    "giới thiệu",
    "theo dõi sát",
    "xin thêm vốn cho",
    "thử nghiệm",
    "bàn giao",
    "lên phương án cho",
];
const OBJECTS: [&str; 20] = [
    "tuyến đường liên xã",
    "cây cầu treo cũ",
    "khu chợ trung tâm",
    "dãy phòng học bán trú",
    "trạm y tế mới",
    "hệ thống thoát nước",
    "bến thuyền bên sông",
    "lớp dạy nghề buổi tối",
    "sân chơi cho trẻ em",
    "đập tràn đầu nguồn",
    "vùng trồng cây ăn quả",
    "kho lưu trữ số",
    "đường dây điện hạ thế",
    "tủ sách cộng đồng",
    "giải chạy mùa xuân",
    "điểm đón khách tham quan",
    "bãi đỗ xe phía đông",
    "máy lọc không khí",
    "chuyến tàu cuối tuần",
    "vườn ươm giống",
];
const ENDS: [&str; 16] = [
    "và dự kiến xong trước mùa mưa",
    "với kinh phí do nhân dân góp",
    "để kịp đón khách dịp tết",
    "nhưng còn vướng khâu giải phóng mặt bằng",
    "sau nhiều lần điều chỉnh thiết kế",
    "nhờ sự giúp đỡ của bạn bè xa gần",
    "dù thời tiết không thuận lợi",
    "theo đúng tiến độ đã cam kết",
    "trong niềm vui của bà con",
    "và sẽ báo cáo kết quả vào tháng sau",
    "khi giá vật liệu vẫn còn cao",
    "với mong muốn giữ lại nếp xưa",
    "để giảm ùn tắc giờ cao điểm",
    "vì an toàn của học sinh",
    "mà không cần thêm biên chế",
    "và lắng nghe phản hồi từ cơ sở",
];

/// The name of a tag.
pub fn tag(number: usize) -> String {
    let (topic, place) = (TOPICS[number % TOPICS.len()], PLACES[number / TOPICS.len()]);
    format!("{topic} {place}")
}

/// The name of an author.
pub fn author(number: usize) -> String {
    format!("{} {}", FAMILY[number % FAMILY.len()], GIVEN[number / FAMILY.len()])
}

/// One made-up story.
pub struct Story {
    /// What is sent to create it, but for the ids.
    pub words: Value,
    /// Its section, three tags and author, by number.
    pub section: usize,
    /// Its tags.
    pub tags: [usize; 3],
    /// Its author.
    pub author: usize,
    /// Minutes before now that it was published, in a newsroom of so many stories.
    pub minutes_ago: i64,
}

/// Story `number` of `total`; the last is the newest.
pub fn story(number: usize, total: usize) -> Story {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED.wrapping_add(number as u64));
    let place = pick(&mut rng, &PLACES);
    let title = capital(&format!(
        "{} {} {}",
        subject(&mut rng),
        pick(&mut rng, &VERBS),
        pick(&mut rng, &OBJECTS)
    ));
    let source = pick(&mut rng, &SOURCES);
    Story {
        section: rng.random_range(0..SECTIONS.len()),
        tags: [
            rng.random_range(0..100),
            rng.random_range(100..150),
            rng.random_range(150..TAGS),
        ],
        author: rng.random_range(0..AUTHORS),
        minutes_ago: (total as i64 - number as i64) * PACE,
        words: json!({
            "title": format!("{title} ở {place}"),
            "kicker": format!("Ghi nhận từ {place}"),
            "lead": format!("{} {}", sentence(&mut rng), sentence(&mut rng)),
            "dateline": format!("{place}, ngày {}/{}", rng.random_range(1..=28), rng.random_range(1..=12)),
            "body_markdown": body(&mut rng),
            "featured": rng.random_ratio(1, 20),
            "source": { "name": source, "url": format!("https://tin.example.vn/{number}") },
        }),
    }
}

fn body(rng: &mut Xoshiro256PlusPlus) -> String {
    let mut body = String::new();
    if rng.random_ratio(1, 2) {
        body.push_str("Chương trình khuyến nông của vùng được bàn thêm trong dịp này. ");
    }
    if rng.random_ratio(1, 100) {
        body.push_str("Đêm rằm, ánh nguyệt soi trên mặt nước. ");
    }
    while body.len() < BODY {
        for _ in 0..rng.random_range(3..6) {
            body.push_str(&sentence(rng));
            body.push(' ');
        }
        let end = match rng.random_range(0..6) {
            0 => format!("\n\n## {}\n\n", capital(pick(rng, &OBJECTS))),
            1 => format!("**{}** là điều được nhắc lại.\n\n", capital(pick(rng, &OBJECTS))),
            2 => format!(
                "Xem thêm [bản tin trước](https://tin.example.vn/{}).\n\n",
                rng.random_range(1..9999)
            ),
            _ => "\n\n".to_owned(),
        };
        body.push_str(&end);
    }
    let mut cut = BODY;
    while !body.is_char_boundary(cut) {
        cut -= 1;
    }
    body.truncate(cut);
    body.truncate(body.rfind(['.', '\n']).map_or(body.len(), |end| end + 1));
    body
}

fn sentence(rng: &mut Xoshiro256PlusPlus) -> String {
    let (time, subject, verb) = (pick(rng, &TIMES), subject(rng), pick(rng, &VERBS));
    let mut text = format!("{time}, {subject} {verb} {}", pick(rng, &OBJECTS));
    if rng.random_ratio(1, 3) {
        // Writing to a string cannot fail.
        let _ = write!(text, " dài {} m", rng.random_range(20..900));
    }
    format!("{text} {}.", pick(rng, &ENDS))
}

fn subject(rng: &mut Xoshiro256PlusPlus) -> String {
    let who = pick(rng, &SUBJECTS);
    match rng.random_range(0..3) {
        0 => format!("{who} {}", pick(rng, &PLACES)),
        1 => format!("{who} cùng {}", pick(rng, &SUBJECTS)),
        _ => who.to_owned(),
    }
}

fn pick(rng: &mut Xoshiro256PlusPlus, list: &'static [&'static str]) -> &'static str {
    list.choose(rng).copied().unwrap_or_default()
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// As searching without accents sees it.
fn fold(text: &str) -> String {
    let marks = |c: &char| !('\u{300}'..='\u{36f}').contains(c);
    text.to_lowercase().replace('đ', "d").nfd().filter(marks).collect()
}

/// The measured words must be as common as we say, also when they are searched for without accents.
pub fn check() -> Result<(), String> {
    let sample = 4_000;
    for (pair, low, high) in [(HALF, 0.46, 0.54), (RARE, 0.005, 0.016)] {
        let words: Vec<String> = fold(pair).split(' ').map(str::to_owned).collect();
        let mut counts = vec![0; words.len()];
        for number in 0..sample {
            let text = fold(&story(number, sample).words.to_string());
            let tokens: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
            for (word, count) in words.iter().zip(&mut counts) {
                *count += usize::from(tokens.contains(&word.as_str()));
            }
        }
        for (word, count) in words.iter().zip(counts) {
            let share = count as f64 / sample as f64;
            if !(low..=high).contains(&share) {
                return Err(format!(
                    "{share} of the stories have {word:?}: the word lists were changed"
                ));
            }
        }
    }
    Ok(())
}
