use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

const EVENT_TYPE: &str = "order.paid";
const CHANNELS: [&str; 2] = ["eu", "audit"];

fn payload() -> Json {
    json!({
        "amount": 120, "rate": 0.5, "currency": "EUR", "big": 18_446_744_073_709_551_615_u64, "text": "12.5",
        "paid": true, "nothing": null, "empty": [], "tags": ["new", "vip"],
        "customer": {"id": "c-1", "address": {"country": "NL"}, "odd name": 1},
        "items": [{"sku": "A-1", "count": 2}, {"sku": "B-2", "count": 1, "gift": true}],
    })
}

fn ask(text: &str, payload: &Json) -> Result<bool, FilterError> {
    let facts = Facts { payload, event_type: EVENT_TYPE, channels: &CHANNELS };
    Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).wants(&facts)
}

fn check(cases: &[(&str, bool)]) {
    for (text, expect) in cases {
        assert_eq!(ask(text, &payload()), Ok(*expect), "{text}");
    }
}

#[test]
fn fields_event_types_and_channels_can_be_asked_about() {
    check(&[
        ("payload.amount == 120", true),
        ("payload.customer.address.country == 'NL'", true),
        ("payload.customer[\"odd name\"] == 1", true),
        ("payload.items[1].sku == 'B-2'", true),
        ("event_type == 'order.paid' && 'eu' in channels", true),
        ("event_type.startsWith('invoice.')", false),
        ("channels == ['eu', 'audit'] && channels[0] == 'eu' && size(channels) == 2", true),
        ("payload.paid", true),
        ("payload.nothing == null && has(payload.nothing) && !has(payload.other)", true),
        ("'currency' in payload && !('EUR' in payload)", true),
        ("payload.currency in ['USD', 'EUR']", true),
        ("true // what comes here is for people", true),
    ]);
}

#[test]
fn numbers_are_compared_as_numbers_and_texts_by_their_characters() {
    check(&[
        ("payload.amount > 119.5 && payload.amount <= 120.0 && 120u == payload.amount", true),
        ("payload.big > 9223372036854775807 && payload.big != 18446744073709551614", true),
        ("-payload.rate < -0.25 && - 1 < 0x0F", true),
        ("payload.amount * 2 + 1 == 241 && payload.amount / 7 == 17 && payload.amount % 7 == 1", true),
        ("payload.amount * payload.rate == 60.0", true),
        ("7 - 2 - 1 == 4 && 2 + 3 * 4 == 14 && (2 + 3) * 4 == 20", true),
        ("double(payload.text) > 12.0 && int(payload.text) == 12 && int('-7') == -7", true),
        ("'a' < 'b' && 'Z' < 'a' && false < true", true),
        ("payload.amount == '120' || payload.currency == 1 || null == false", false),
        ("1e3 == 1000 && .5 == 0.5 && 1.5e-1 == 0.15", true),
    ]);
}

#[test]
fn texts_are_searched_and_matched() {
    check(&[
        ("payload.currency.contains('U') && payload.currency.endsWith('R')", true),
        ("payload.customer.id.matches('^c-[0-9]+$')", true),
        ("payload.currency.matches(r'(?i)^eu\\w$')", true),
        ("size('hölle') == 5 && 'hölle'.size() == 5", true),
        (r#""\u00f6\x41\t\"" == 'öA	"'"#, true),
    ]);
}

#[test]
fn items_are_asked_one_by_one() {
    check(&[
        ("payload.items.exists(item, item.sku == 'A-1' && item.count > 1)", true),
        ("payload.items.all(item, item.count > 1)", false),
        ("payload.items.exists_one(item, item.count == 1)", true),
        ("payload.empty.all(item, item.x) && !payload.empty.exists(item, item.x)", true),
        ("payload.customer.exists(name, name == 'id')", true),
        (
            "payload.items.exists(one, payload.items.exists(two, one.sku != two.sku && one.count > two.count))",
            true,
        ),
        ("payload.items.exists(x, payload.tags.exists(x, x == 'vip') && x.count == 2)", true),
    ]);
}

#[test]
fn a_part_without_an_answer_counts_only_if_the_others_leave_it_open() {
    check(&[
        ("payload.missing == 1 || payload.paid", true),
        ("payload.missing == 1 && payload.amount == 0", false),
        ("payload.items.exists(item, item.gift)", true),
        ("payload.paid ? payload.amount == 120 : payload.missing", true),
    ]);
    for (text, problem) in [
        ("payload.missing == 1", "there is no field 'missing', at character 9"),
        ("payload.missing == 1 && payload.paid", "there is no field 'missing', at character 9"),
        ("payload.items.all(item, item.gift)", "there is no field 'gift', at character 30"),
        ("payload.items[2] == 1", "there is no such item in the list, at character 14"),
        ("payload.items[-1] == 1", "there is no such item in the list, at character 14"),
        ("payload.amount", "this is a number, and must be true or false, at character 9"),
        ("payload.amount.x", "this is a number, and must be an object, at character 9"),
        ("'ö' == '' || payload.x", "there is no field 'x', at character 22"),
        ("payload.amount < 'a'", "a number and a text cannot be compared this way, at character 16"),
        ("payload.amount / 0 == 1", "this divides by zero, at character 16"),
        ("payload.big + 1 > 0", "this number is too large, at character 13"),
        ("payload.currency + payload.text == ''", "this is a text, and must be a number, at character 9"),
        ("int(payload.currency) == 1", "this text says no number, at character 13"),
        ("int(1e30) == 1", "this number is too large, at character 1"),
    ] {
        let error = ask(text, &payload()).unwrap_err();
        assert_eq!(error.to_string(), problem, "{text}");
    }
}

#[test]
fn an_expression_that_cannot_be_read_names_what_is_wrong_and_where() {
    for (text, problem) in [
        ("", "a value is expected instead of the end, at character 1"),
        ("payload.amount >", "a value is expected instead of the end, at character 17"),
        ("payload.amount = 1", "'==' compares; there is no '=', at character 16"),
        (
            "payloads.amount == 1",
            "there is no 'payloads'; there are payload, event_type and channels, at character 1",
        ),
        ("(payload.paid", "')' is expected instead of the end, at character 14"),
        (
            "payload.paid payload.paid",
            "an operator or the end is expected instead of 'payload', at character 14",
        ),
        ("payload.'x'", "a name is expected instead of a text, at character 9"),
        ("payload.size", ""),
        ("payload.amount & 1", "'&' has no meaning here, at character 16"),
        (
            "payload.currency.lower() == 'x'",
            "there is no function 'lower' here; there are size, contains, startsWith, endsWith, matches, all, exists and exists_one, at character 18",
        ),
        (
            "timestamp('x') == 1",
            "there is no function 'timestamp' here; there are has, size, int and double, at character 1",
        ),
        ("has(payload)", "has() asks for a field, as in has(payload.name), at character 1"),
        (
            "payload.x.matches(payload.y)",
            "a pattern in quotes is expected instead of 'payload', at character 19",
        ),
        ("'abc", "this text has no end, at character 1"),
        (r"'\q' == ''", "this escape is not known, at character 2"),
        ("12ab == 1", "this is no number, at character 1"),
        ("18446744073709551616 == 1", "this number is too large, at character 1"),
        ("{'a': 1} == payload", "objects cannot be written down in a filter, at character 1"),
        ("1 + 2", "is never true or false, at character 3"),
        (
            "payload.currency + 'O' == 'EURO'",
            "'+' adds numbers; texts and lists are not joined in a filter, at character 18",
        ),
        (
            "'x' in channels + payload.tags",
            "'+' adds numbers; texts and lists are not joined in a filter, at character 17",
        ),
        ("event_type", "is never true or false, at character 1"),
    ] {
        let found = Filter::parse(text).map_or_else(|error| error.to_string(), |_| String::new());
        assert_eq!(found, problem, "{text}");
    }
    let refusal = Filter::parse("payload.x.matches('(')").unwrap_err().to_string();
    assert!(refusal.starts_with("this is no pattern: ") && refusal.ends_with("at character 19"), "{refusal}");
}

#[test]
fn every_limit_of_an_expression_holds() {
    let refused = |text: String, part: &str| {
        let error = Filter::parse(&text).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    refused(format!("{}true", " ".repeat(FILTER_BYTES_MAX)), "is 4100 bytes; the limit is 4096");
    refused(format!("{}true{}", "(".repeat(1_000), ")".repeat(1_000)), "nested deeper than 24 brackets");
    refused(format!("{}true", "!".repeat(1_000)), "nested deeper than 64 levels");
    refused(format!("payload{}", ".a".repeat(1_000)), "nested deeper than 64 levels");
    refused(format!("1{} == 1", "+1".repeat(1_000)), "nested deeper than 64 levels");
    refused(format!("true{}", "&&true".repeat(600)), "more than 500 parts");
    refused(format!("{}true", "true?true:".repeat(400)), "nested deeper than 24 brackets");
    refused("payload.x.matches('\\\\pL{500}')".into(), "it needs more than 128 KiB when it is compiled");
    refused(format!("payload.x.matches('{}a{}')", "(".repeat(80), ")".repeat(80)), "this is no pattern");
    assert!(Filter::parse(&format!("payload.x == 1{}", " || payload.x == 1".repeat(99))).is_ok());
}

#[test]
fn no_filter_takes_more_steps_than_it_may() {
    let many: Vec<u32> = (0..200).collect();
    let (payload, nested) = (
        json!({ "n": many, "t": "x".repeat(1_000_000) }),
        "payload.n.all(a, payload.n.all(b, payload.n.all(c, a + b + c >= 0)))",
    );
    for text in [nested, "payload.t.matches('(x+x+)+y')", "payload.n.all(a, payload.n == payload.n)"] {
        let error = ask(text, &payload).unwrap_err().to_string();
        assert!(error.starts_with("this takes more steps than a filter may"), "{text}: {error}");
        // Nor can it look past that.
        assert!(ask(&format!("({text}) || true"), &payload).is_err(), "{text}");
    }
    assert_eq!(
        ask("payload.n.all(a, a >= 0) && size(payload.t) == 1000000", &payload).map_err(|e| e.to_string()),
        Err("this takes more steps than a filter may, at character 42".into())
    );
    let facts = Facts { payload: &payload, event_type: EVENT_TYPE, channels: &[] };
    let (filter, mut left) = (Filter::parse(nested).unwrap(), STEPS_MAX + 100);
    assert!(filter.wants_within(&facts, &mut left).is_err());
    assert_eq!(left, 100);
    assert!(Filter::parse("payload.n.all(a, a >= 0)").unwrap().wants_within(&facts, &mut left).is_err());
    assert_eq!(left, 0);
}

/// Texts that look like expressions more often than not.
fn scraps() -> impl Strategy<Value = String> {
    let scrap = prop::sample::select(vec![
        "payload",
        ".",
        "a",
        "b",
        "[",
        "]",
        "(",
        ")",
        "==",
        "!=",
        "<",
        "&&",
        "||",
        "!",
        "-",
        "+",
        "/",
        "%",
        "in",
        "1",
        "0",
        "1.5",
        "18446744073709551615",
        "'a'",
        "\"",
        "'",
        "\\",
        "r'",
        "has(",
        "size(",
        "int(",
        ".exists(x,",
        ".all(x,",
        "x",
        "?",
        ":",
        ",",
        " ",
        "channels",
        "event_type",
        "true",
        "null",
        ".matches('a*')",
        ".contains(",
        "ö",
        "{",
        "1e9",
        "0x",
        "//",
        "\n",
    ]);
    prop::collection::vec(scrap, 0..30).prop_map(|scraps| scraps.concat())
}

fn jsons() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        prop_oneof![Just(0), Just(1), any::<i64>()].prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        prop_oneof![Just(0.5), any::<f64>()].prop_map(Json::from),
        "[ab]{0,3}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            prop::collection::btree_map("[ab]", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

/// Expressions that can be read, of values and of conditions.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "payload",
        "payload.a",
        "payload.b",
        "payload.a.b",
        "payload['a']",
        "payload.a[0]",
        "payload.b[1]",
        "channels",
        "event_type",
        "true",
        "false",
        "null",
        "0",
        "1",
        "-1",
        "2u",
        "0.5",
        "1.0",
        "1e300",
        "9223372036854775807",
        "'a'",
        "'ab'",
        "''",
        "[1, 'a', null]",
        "[]",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            (
                two.clone(),
                prop::sample::select(vec![
                    "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||", "-", "*", "/", "%"
                ])
            )
                .prop_map(|((one, two), sign)| format!("({one} {sign} {two})")),
            // One of them is a number or has no answer: between two texts or lists, `+` means more in CEL than here.
            two.clone().prop_map(|(one, two)| format!("({one} + -({two}))")),
            inner.clone().prop_map(|one| format!("!({one})")),
            inner.clone().prop_map(|one| format!("-({one})")),
            inner.clone().prop_map(|one| format!("size({one})")),
            inner.clone().prop_map(|one| format!("has(({one}).a)")),
            (two.clone(), prop::sample::select(vec!["contains", "startsWith", "endsWith"]))
                .prop_map(|((one, two), name)| format!("({one}).{name}({two})")),
            (two.clone(), prop::sample::select(vec!["all", "exists", "exists_one"]))
                .prop_map(|((one, two), name)| format!("({one}).{name}(x, x == ({two}) || x.a == 1)")),
            (inner.clone(), two).prop_map(|(one, (two, three))| format!("(({one}) ? ({two}) : ({three}))")),
            inner.prop_map(|one| format!("[{one}, 1]")),
        ]
    })
}

/// What the crate `cel` says: an implementation of the whole language, by others.
fn counterpart(text: &str, payload: &Json) -> Option<bool> {
    let program = cel::Program::compile(text).ok()?;
    let mut context = cel::Context::default();
    context.add_variable("payload", payload).ok()?;
    context.add_variable("event_type", EVENT_TYPE).ok()?;
    context.add_variable("channels", CHANNELS.to_vec()).ok()?;
    match program.execute(&context) {
        Ok(cel::Value::Bool(answer)) => Some(answer),
        _ => None,
    }
}

#[test]
fn the_counterpart_has_answers_to_be_held_against() {
    for (text, answer) in [
        ("payload.amount > 1 && event_type == 'order.paid'", Some(true)),
        ("payload.tags.exists(tag, tag == 'old') || 'eu' in channels", Some(true)),
        ("payload.items.all(item, item.count == 1)", Some(false)),
        ("payload.missing == 1", None),
    ] {
        assert_eq!(counterpart(text, &payload()), answer, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_is_read_or_refused_and_stays_within_its_steps(text in scraps(), payload in jsons()) {
        let facts = Facts { payload: &payload, event_type: EVENT_TYPE, channels: &CHANNELS };
        if let Ok(filter) = Filter::parse(&text) {
            let mut left = MESSAGE_STEPS_MAX;
            let _ = filter.wants_within(&facts, &mut left);
            prop_assert!(MESSAGE_STEPS_MAX - left <= STEPS_MAX);
        }
    }

    #[test]
    fn an_expression_means_what_it_means_in_cel(text in expressions(), payload in jsons()) {
        let Ok(filter) = Filter::parse(&text) else { return Ok(()) };
        let facts = Facts { payload: &payload, event_type: EVENT_TYPE, channels: &CHANNELS };
        if let Some(expect) = counterpart(&text, &payload) {
            prop_assert_eq!(filter.wants(&facts).map_err(|error| error.to_string()), Ok(expect), "{}", text);
        }
    }
}
