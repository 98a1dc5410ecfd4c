//! The contact sheet: what stands in the file, what a browser makes of it, and what the commands put into it.
//!
//! The browser's tests run where a headless Chromium is found, and say so where not.

mod commands;

use std::path::Path;

use crate::support::browser::Browser;
use crate::support::{Castline, sample_cast};
use castline::inspect::{Face, Thumbnail};
use castline::plan::Standing;
use castline::report::html::{Card, Page, render};
use castline::util::money::Usd;

const MARKUP: &str = "</script><img src=https://evil.example/x onerror=alert(1)>";

/// A grey image of 16 × 20 px.
fn thumbnail() -> Option<Thumbnail> {
    let mut jpeg = Vec::new();
    image::RgbImage::from_pixel(16, 20, image::Rgb([120; 3]))
        .write_to(&mut std::io::Cursor::new(&mut jpeg), image::ImageFormat::Jpeg)
        .expect("a JPEG");
    Some(Thumbnail { jpeg })
}

fn card(name: &str, standing: Standing) -> Card {
    let face = Face {
        x: 100.0,
        y: 80.0,
        width: 200.0,
        height: 260.0,
        score: 0.974,
    };
    Card {
        name: name.to_owned(),
        source: format!("art/{}.png", name.len()),
        standing,
        thumbnail: thumbnail(),
        size: [640, 800],
        faces: vec![face],
        seen: "one face, 97\u{a0}% sure".to_owned(),
        ..Card::default()
    }
}

/// One of several kinds, one of them with markup wherever text can stand.
fn page() -> Page {
    let mut enrolled = card("Zoë Ångström", Standing::Enrolled);
    enrolled.asset_id = Some("ta_pt_0042".to_owned());
    enrolled.cost = Some(Usd::from_micros(10_000));
    let mut evil = card(MARKUP, Standing::ToReview);
    evil.source = MARKUP.to_owned();
    evil.reasons = vec![MARKUP.to_owned(), "look at it".to_owned()];
    evil.asset_id = Some(MARKUP.to_owned());
    let unreadable = Card {
        name: "Nobody".to_owned(),
        standing: Standing::Unsuitable,
        ..Card::default()
    };
    Page {
        title: MARKUP.to_owned(),
        generated_at: "2026-11-23 09:05 UTC".to_owned(),
        kind: "Ledger".to_owned(),
        amounts: vec![("Paid".to_owned(), "$0.01".to_owned())],
        notes: vec![MARKUP.to_owned()],
        cards: vec![enrolled, evil, unreadable],
        ..Page::default()
    }
}

// --- the file ---

#[test]
fn markup_in_a_cast_never_reaches_the_file_as_markup() {
    let html = render(&page());
    assert!(!html.contains("<img"), "no element comes from a text");
    assert_eq!(
        html.matches("</script>").count(),
        2,
        "the data's and the script's own"
    );
}

#[test]
fn the_policy_lets_nothing_leave_the_page() {
    let html = render(&page());
    let policy = html
        .split("content=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let policy = policy.expect("a policy").replace("&#39;", "'");
    assert!(
        policy.starts_with("default-src 'none'; img-src data:;"),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"),
        "{policy}"
    );
}

#[test]
fn the_file_refers_to_nothing_outside() {
    let mut page = page();
    page.cards.remove(1);
    (page.title, page.notes) = ("cast.csv".to_owned(), Vec::new());
    let html = render(&page).replace("http://www.w3.org/2000/svg", "");
    for reference in ["http:", "https:", "src=\"", "<link", "@import", "url("] {
        assert!(!html.contains(reference), "{reference}");
    }
}

// --- in a browser ---

/// The names of the cards that are shown.
fn shown(browser: &mut Browser) -> Vec<String> {
    let names = browser.eval("[...document.querySelectorAll('#cards h3')].map((h) => h.textContent)");
    serde_json::from_value(names).expect("names")
}

fn count(browser: &mut Browser) -> String {
    let count = browser.eval("document.getElementById('count').textContent");
    count.as_str().expect("a text").to_owned()
}

#[test]
fn the_page_draws_every_card_and_asks_for_nothing() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let _page = browser.open_html(&render(&page()));
    assert_eq!(shown(&mut browser).len(), 3);
    browser.wait_for("document.querySelector('#cards img')?.naturalWidth === 16");
    let alt = browser.eval("document.querySelector('#cards img').alt");
    assert_eq!(alt, "Image of Zoë Ångström: one face, 97\u{a0}% sure");
    let over = browser.eval("document.querySelector('rect.over').outerHTML");
    assert!(
        over.as_str()
            .expect("a box")
            .contains(r#"x="100" y="80" width="200" height="260""#),
        "{over}"
    );
    assert_eq!(
        browser.eval("document.querySelector('.blank').textContent"),
        "No image to show"
    );
    assert_eq!(browser.complaints(), [""; 0]);
    assert_eq!(
        browser.requests().len(),
        1,
        "the page itself: {:?}",
        browser.requests()
    );
}

#[test]
fn markup_stays_text_in_the_browser() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let _page = browser.open_html(&render(&page()));
    assert!(shown(&mut browser).contains(&MARKUP.to_owned()));
    let texts = browser.eval(
        "['h1 bdi', 'p.note', 'li.look h3', 'li.look ul li', 'li.look .file bdi', 'li.look .id']
        .map((selector) => document.querySelector(selector)?.textContent)",
    );
    for (place, text) in texts.as_array().expect("texts").iter().enumerate() {
        assert_eq!(text, MARKUP, "text {place}");
    }
    let made = browser.eval("[document.images.length, document.scripts.length]");
    assert_eq!(made, serde_json::json!([2, 2]), "nothing was made of a text");
    assert_eq!(browser.requests().len(), 1, "{:?}", browser.requests());
}

#[test]
fn what_the_policy_forbids_is_heard_as_a_complaint() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let smuggled = render(&page()).replace(
        "<main",
        "<img src=\"https://example.invalid/x.png\" onerror=\"alert(1)\"><main",
    );
    let _page = browser.open_html(&smuggled);
    let complaints = browser.complaints().join("\n");
    assert!(complaints.contains("Content Security Policy"), "{complaints}");
}

#[test]
fn a_state_filters_and_a_second_click_ends_it() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let _page = browser.open_html(&render(&page()));
    browser.click("#filters [data-state=enrolled]");
    assert_eq!(shown(&mut browser), ["Zoë Ångström"]);
    assert_eq!(
        browser.eval("document.getElementById('count').textContent"),
        "1 of 3"
    );
    assert_eq!(
        browser.eval("document.querySelector('[data-state=enrolled]').ariaPressed"),
        "true"
    );
    assert_eq!(
        browser.eval("location.hash"),
        "#state=enrolled",
        "a view has an address"
    );
    browser.click("#filters [data-state=enrolled]");
    assert_eq!(shown(&mut browser).len(), 3);
    browser.eval("location.hash = '#state=unheard-of'");
    assert_eq!(
        shown(&mut browser).len(),
        3,
        "a state that isn't one is no filter"
    );
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn search_ignores_case_and_accents_and_finds_asset_ids() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let _page = browser.open_html(&render(&page()));
    for query in ["ANGSTROM", "ta_pt_0042"] {
        browser.eval("Object.assign(document.getElementById('q'), { value: '' }).blur()");
        browser.press("/");
        browser.type_text(query);
        browser.wait_for("document.getElementById('count').textContent === '1 of 3'");
        assert_eq!(shown(&mut browser), ["Zoë Ångström"], "{query}");
    }
    browser.click("#filters [data-state=to_review]");
    assert!(shown(&mut browser).is_empty(), "search and filter both hold");
    browser.click("#clear");
    assert_eq!(shown(&mut browser).len(), 3);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn search_finds_reasons_roles_and_letters_that_only_look_accented() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let mut page = page();
    page.cards[0].name = "Đặng Thu Linh".to_owned();
    page.cards[0].details = vec![("role".to_owned(), "Scout".to_owned())];
    page.cards[2].reasons = vec!["the file ends before its picture does".to_owned()];
    let _page = browser.open_html(&render(&page));
    for (query, name) in [
        ("dang", "Đặng Thu Linh"),
        ("scout", "Đặng Thu Linh"),
        ("ends before", "Nobody"),
    ] {
        browser.eval("Object.assign(document.getElementById('q'), { value: '' }).blur()");
        browser.press("/");
        browser.type_text(query);
        browser.wait_for("document.getElementById('count').textContent === '1 of 3'");
        assert_eq!(shown(&mut browser), [name], "{query}");
    }
    browser.click("#q");
    browser.eval("document.getElementById('q').value = ''; location.hash = '#sort=name'");
    browser.wait_for("document.querySelector('#cards h3').textContent !== 'Đặng Thu Linh' || true");
    let mut by_name = shown(&mut browser);
    assert_eq!(by_name.len(), 3);
    let first = by_name.remove(0);
    browser.eval("location.hash = ''");
    assert_ne!(first, "Nobody", "N is not first");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn an_image_is_enlarged_with_its_faces_and_escape_closes_it() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let mut page = page();
    page.cards[0].original = Some("art/zo%C3%AB.png".to_owned());
    let _page = browser.open_html(&render(&page));
    browser.click("#cards button.frame");
    browser.wait_for("document.getElementById('large').open");
    let shown = browser.eval(
        "[document.getElementById('large-name').textContent, document.querySelectorAll('#large rect.over').length,
        document.querySelector('#large-source a').getAttribute('href')]",
    );
    assert_eq!(shown, serde_json::json!(["Zoë Ångström", 1, "art/zo%C3%AB.png"]));
    browser.press("Escape");
    browser.wait_for("!document.getElementById('large').open");
    // By the keyboard alone.
    browser.eval("document.querySelector('#cards button.frame').focus()");
    browser.press("Enter");
    browser.wait_for("document.getElementById('large').open");
    assert_eq!(browser.complaints(), [""; 0]);
    assert_eq!(browser.requests().len(), 1, "{:?}", browser.requests());
}

#[test]
fn ids_are_copied_all_at_once_and_fixes_saved_as_a_table() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let _page = browser.open_html(&render(&page()));
    browser.eval(
        "window.copied = []; navigator.clipboard.writeText = async (text) => { window.copied.push(text); };
        URL.createObjectURL = (blob) => { window.saved = blob; return 'data:text/csv,x'; }; URL.revokeObjectURL = () => {};",
    );
    browser.click("#ids");
    browser.wait_for("window.copied.length === 1");
    let copied = browser.eval("window.copied[0]");
    let copied = copied.as_str().unwrap();
    assert!(
        copied.starts_with("Zoë Ångström\tta_pt_0042\n") && copied.lines().count() >= 2,
        "{copied}"
    );
    browser.click("#fixes");
    browser.wait_for("window.saved !== undefined");
    browser.eval("window.saved.text().then((text) => { window.table = text; })");
    browser.wait_for("window.table !== undefined");
    let table = browser.eval("window.table");
    let table = table.as_str().unwrap();
    assert!(
        table.starts_with("file,name,standing,reason,what to do\r\n"),
        "{table}"
    );
    assert!(table.contains("look at it"), "{table}");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_click_copies_the_asset_id() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let _page = browser.open_html(&render(&page()));
    browser.click(".good .id");
    browser.wait_for("document.getElementById('said').textContent === 'Copied ta_pt_0042'");
    browser.click("#q");
    browser.call(
        "Input.dispatchKeyEvent",
        serde_json::json!({"type": "keyDown", "commands": ["paste"]}),
    );
    assert_eq!(browser.eval("document.getElementById('q').value"), "ta_pt_0042");
}

/// The least contrast (WCAG 2, at least 4.5 is asked of text) of the given elements' text on what is behind it.
const CONTRAST: &str = r#"(() => {
    const channels = (color) => color.match(/[\d.]+/g).map(Number);
    const light = (color) => {
        const [r, g, b] = channels(color).slice(0, 3)
            .map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const color = getComputedStyle(at).backgroundColor;
            if (channels(color)[3] !== 0) return color;
        }
        return 'rgb(255, 255, 255)';
    };
    const texts = [...document.querySelectorAll('body *')].filter((e) =>
        e.getClientRects().length && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()));
    return Math.min(...texts.map((e) => {
        const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    }));
})()"#;

#[test]
fn texts_can_be_read_in_light_and_dark() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let mut page = page();
    page.cards
        .extend(Standing::ALL.map(|standing| card(standing.label(), standing)));
    page.sandbox = true;
    let _page = browser.open_html(&render(&page));
    for scheme in ["light", "dark"] {
        browser.show(1280, 900, scheme);
        let least = browser.eval(CONTRAST).as_f64().expect("a contrast");
        assert!(least >= 4.5, "{scheme}: {least}");
    }
}

#[test]
fn the_page_fits_a_narrow_window() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let _page = browser.open_html(&render(&page()));
    for width in [320, 768, 2560] {
        browser.show(width, 800, "light");
        let wider = browser.eval("document.documentElement.scrollWidth - innerWidth");
        assert!(
            wider.as_i64().expect("pixels") <= 0,
            "{width} px: {wider} px too wide"
        );
    }
}

#[test]
fn a_large_cast_is_drawn_whole_and_filtered() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let unused = [Standing::Suitable, Standing::NeedsConsent, Standing::NotSeen];
    let ten: Vec<_> = Standing::ALL
        .into_iter()
        .filter(|s| !unused.contains(s))
        .collect();
    let cards = (0..5_000).map(|n| card(&format!("Character {n:04}"), ten[n % 10]));
    let page = Page {
        cards: cards.collect(),
        ..Page::default()
    };
    let _page = browser.open_html(&render(&page));
    let few = shown(&mut browser).len();
    assert!(few < 500, "only what is near the window is drawn: {few}");
    browser.eval("scrollTo(0, document.documentElement.scrollHeight)");
    browser.wait_for(&format!(
        "document.querySelectorAll('#cards > li').length > {few}"
    ));

    browser.click("#filters [data-state=in_doubt]");
    assert_eq!(count(&mut browser), "500 of 5000");
    browser.press("/");
    browser.type_text("character 499");
    browser.wait_for("document.getElementById('count').textContent === '1 of 5000'");
    assert_eq!(shown(&mut browser), ["Character 4999"]);

    browser.eval("location.hash = '#state=enrolled'");
    browser.wait_for("document.getElementById('count').textContent === '500 of 5000'");
    browser.eval("dispatchEvent(new Event('beforeprint'))");
    assert_eq!(shown(&mut browser).len(), 500, "all that fit are printed");
    assert_eq!(browser.complaints(), [""; 0]);
}
