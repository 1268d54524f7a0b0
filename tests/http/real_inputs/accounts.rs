//! Passwords and e-mail addresses as keyboards, contact lists and password managers write them.

use serde_json::{Value, json};

use crate::support::{Answer, PASSWORD, StoreKind, TestApp};
use crate::{anonymous, fields, login};

crate::on_both_stores!(
    a_password_is_the_same_in_every_normal_form_and_in_no_other_way,
    an_address_is_the_same_however_it_was_typed_at_sign_up_sign_in_and_invitation,
    what_is_no_address_is_refused_where_accounts_are_made,
);

/// What was chosen, what is typed later, and whether that is the same password.
const PASSWORDS: &[(&str, &str, bool)] = &[
    // German, in one character and in two; both ways round.
    ("p\u{e4}ssw\u{f6}rter", "pa\u{308}sswo\u{308}rter", true),
    ("scho\u{308}nes Wetter", "sch\u{f6}nes Wetter", true),
    // Korean: syllables, and the letters they are made of.
    (
        "비밀번호입니다",
        "\u{1107}\u{1175}\u{1106}\u{1175}\u{11af}\u{1107}\u{1165}\u{11ab}\u{1112}\u{1169}\u{110b}\u{1175}\u{11b8}\u{1102}\u{1175}\u{1103}\u{1161}",
        false,
    ),
    (
        "비밀번호입니다!",
        "\u{1107}\u{1175}\u{1106}\u{1175}\u{11af}\u{1107}\u{1165}\u{11ab}\u{1112}\u{1169}\u{110b}\u{1175}\u{11b8}\u{1102}\u{1175}\u{1103}\u{1161}!",
        true,
    ),
    // Vietnamese: two marks on one letter, in either order of typing.
    ("mật khẩu mới", "ma\u{323}\u{302}t kha\u{302}\u{309}u mo\u{31b}\u{301}i", true),
    // Japanese: a mark for the voice of a sound.
    (
        "がぎぐげござじず",
        "か\u{3099}き\u{3099}く\u{3099}け\u{3099}こ\u{3099}さ\u{3099}し\u{3099}す\u{3099}",
        true,
    ),
    // Greek, Russian, Spanish, Turkish.
    ("κωδικός μου", "κωδικο\u{301}ς μου", true),
    ("мой пароль й", "мои\u{306} пароль и\u{306}", true),
    ("contraseña1", "contrasen\u{303}a1", true),
    ("güçlü şifre", "gu\u{308}c\u{327}lu\u{308} s\u{327}ifre", true),
    // The sign of the unit ångström is the letter.
    ("\u{212b}ngstr\u{f6}m", "\u{c5}ngstr\u{f6}m", true),
    // Arabic, Hebrew, Hindi, Thai, Chinese: nothing to compose, and nothing is lost.
    ("كلمة المرور", "كلمة المرور", true),
    ("סיסמה חזקה", "סיסמה חזקה", true),
    ("मेरा पासवर्ड", "मेरा पासवर्ड", true),
    ("รหัสผ่านของฉัน", "รหัสผ่านของฉัน", true),
    ("我的密码是八个字", "我的密码是八个字", true),
    ("👨‍👩‍👧‍👦🔑🍕🍕🍕🍕🍕", "👨‍👩‍👧‍👦🔑🍕🍕🍕🍕🍕", true),
    // Another letter, another width, another case, a blank more: another password.
    ("pässwörter", "passworter", false),
    ("password1", "ｐａｓｓｗｏｒｄ１", false),
    ("ﬁsh and chips", "fish and chips", false),
    ("Correct Horse", "correct horse", false),
    ("correct horse", "correct horse ", false),
];

async fn a_password_is_the_same_in_every_normal_form_and_in_no_other_way(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    for (n, (chosen, typed, same)) in PASSWORDS.iter().enumerate() {
        let email = format!("{n}@example.com");
        let body = json!({"email": email, "password": chosen});
        let made = anonymous(&app, "/auth/signup", &body).await;
        if chosen.chars().count() < 8 {
            assert_eq!(fields(&made.expect_problem(422, "invalid")), ["password"], "{chosen}");
            continue;
        }
        made.expect(201);
        anonymous(&app, "/auth/login", &login(&email, chosen)).await.expect(200);
        let answer = anonymous(&app, "/auth/login", &login(&email, typed)).await;
        assert_eq!(answer.status == 200, *same, "{chosen} and {typed}: {}", answer.text);
    }
    // Eight characters as they are typed, four as they are read.
    let body = json!({"email": "short@example.com", "password": "a\u{308}".repeat(4)});
    let short = anonymous(&app, "/auth/signup", &body).await.expect_problem(422, "invalid");
    assert_eq!(fields(&short), ["password"]);
    let longest = "\u{1112}\u{1161}\u{11ab}".repeat(200);
    let body = json!({"email": "long@example.com", "password": longest});
    anonymous(&app, "/auth/signup", &body).await.expect(201);
    anonymous(&app, "/auth/login", &login("long@example.com", &longest)).await.expect(200);
}

/// What was signed up with, what is typed later, and what the account is called.
const ADDRESSES: &[(&str, &str, &str)] = &[
    ("plain@example.com", "plain@example.com", "plain@example.com"),
    // Phone keyboards put a capital in front and a blank behind.
    ("Anna@Example.com", "anna@example.com ", "anna@example.com"),
    (" ben@example.com", "BEN@EXAMPLE.COM", "ben@example.com"),
    // Contact lists and web pages: a no-break space, marks of no width and of direction, the end of a line.
    ("carla@example.com", "\u{a0}carla@example.com\u{a0}", "carla@example.com"),
    ("dora@example.com", "dora@example.com\u{200b}", "dora@example.com"),
    ("eli@example.com", "\u{202a}eli@example.com\u{202c}", "eli@example.com"),
    ("fay@example.com", "\u{feff}fay@example.com\r\n", "fay@example.com"),
    // German, in both forms and as programs write it.
    ("gerd@müller.example", "gerd@mu\u{308}ller.example", "gerd@xn--mller-kva.example"),
    ("hans@straße.example", "hans@xn--strae-oqa.example", "hans@xn--strae-oqa.example"),
    ("ida@xn--mller-kva.example", "Ida@MÜLLER.example", "ida@xn--mller-kva.example"),
    // Japanese, with its own full stop and in full width.
    ("jun@例え.テスト", "jun@例え。テスト", "jun@xn--r8jz45g.xn--zckzah"),
    ("ｋｅｎ＠ｅｘａｍｐｌｅ．ｃｏｍ", "ken@example.com", "ken@example.com"),
    // Russian, Greek, Chinese, Korean, Arabic, Hindi, Thai.
    ("lena@почта.рф", "LENA@ПОЧТА.РФ", "lena@xn--80a1acny.xn--p1ai"),
    ("maria@παράδειγμα.ελ", "maria@παράδειγμα.ελ", "maria@xn--hxajbheg2az3al.xn--qxam"),
    ("ning@例子.中国", "ning@xn--fsqu00a.xn--fiqs8s", "ning@xn--fsqu00a.xn--fiqs8s"),
    ("oh@실례.테스트", "oh@실례.테스트 ", "oh@xn--9n2bp8q.xn--9t4b11yi5a"),
    ("pari@مثال.إختبار", "pari@مثال.إختبار", "pari@xn--mgbh0fb.xn--kgbechtv"),
    ("rani@उदाहरण.परीक्षा", "Rani@उदाहरण.परीक्षा", "rani@xn--p1b6ci4b4b3a.xn--11b5bs3a9aj6g"),
    ("som@ตัวอย่าง.ไทย", "som@ตัวอย่าง.ไทย", "som@xn--72c1a1bt4awk9o.xn--o3cw4h"),
    // What providers let people add.
    ("tom+orders@example.com", "Tom+Orders@example.com", "tom+orders@example.com"),
];

async fn an_address_is_the_same_however_it_was_typed_at_sign_up_sign_in_and_invitation(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let owner = app.person("merchant", "Olga").await;
    let business = owner.business(&app).await;
    for (chosen, typed, called) in ADDRESSES {
        let body = |email: &str| json!({"email": email, "password": PASSWORD, "role": "merchant"});
        let made = anonymous(&app, "/auth/signup", &body(chosen)).await.expect(201).json();
        assert_eq!(made["email"], *called, "{chosen:?}");
        anonymous(&app, "/auth/signup", &body(typed)).await.expect_problem(409, "already_exists");
        for email in [chosen, typed, called] {
            let answer = anonymous(&app, "/auth/login", &login(email, PASSWORD)).await;
            assert_eq!(answer.status, 200, "{email:?}: {}", answer.text);
        }
        let members = format!("/businesses/{business}/members");
        owner.post(&app, &members, &json!({"email": typed})).await.expect(202);
        let tokens = anonymous(&app, "/auth/login", &login(called, PASSWORD)).await.expect(200).json();
        let invitations = app.http.get(app.url("/api/v1/invitations"));
        let invitations = invitations.bearer_auth(tokens["access_token"].as_str().unwrap());
        let invitations: Value = Answer::of(invitations).await.expect(200).json();
        assert_eq!(invitations["items"][0]["business"]["id"], business, "{typed:?}");
    }
    // Five wrong tries, each typed otherwise, are five at one account.
    for typed in [
        "anna@example.com",
        " anna@example.com",
        "ANNA@example.com",
        "anna@example.com\u{a0}",
        "Anna@example.com",
    ] {
        anonymous(&app, "/auth/login", &login(typed, "wrong")).await.expect_problem(401, "bad_credentials");
    }
    anonymous(&app, "/auth/login", &login("anna@example.com\n", "wrong")).await.expect(429);
}

async fn what_is_no_address_is_refused_where_accounts_are_made(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    for typed in [
        "",
        " ",
        "zoe",
        "zoe@",
        "@example.com",
        "zoe@exa mple.com",
        "zo\u{eb}@example.com",
        "a@b@c.com",
        "zoe@xn--a.com",
    ] {
        let body = json!({"email": typed, "password": PASSWORD});
        let refused = anonymous(&app, "/auth/signup", &body).await.expect_problem(422, "invalid");
        assert_eq!(fields(&refused), ["email"], "{typed:?}");
        // At sign-in that is an account like any other that does not exist.
        let answer = anonymous(&app, "/auth/login", &login(typed, PASSWORD)).await;
        assert_eq!(answer.status.as_u16(), if typed.trim().is_empty() { 422 } else { 401 }, "{typed:?}");
    }
}
