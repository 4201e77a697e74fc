use super::*;

fn decode(bytes: &str) -> Result<Option<Value>, ValueError> {
    ValueDecoder::new(ValueLimits::default()).decode(&mut BytesMut::from(bytes))
}

fn bulk(text: &'static str) -> Value {
    Value::Bulk(text.into())
}

#[test]
fn each_type_is_read() {
    for (bytes, value) in [
        ("+OK\r\n", Value::Simple("OK".into())),
        ("-ERR no\r\n", Value::Error("ERR no".into())),
        (":-5\r\n", Value::Integer(-5)),
        ("$2\r\n\r\n\r\n", bulk("\r\n")),
        ("$-1\r\n", Value::Null),
        ("*-1\r\n", Value::Null),
        ("_\r\n", Value::Null),
        ("*0\r\n", Value::Array(vec![])),
        (
            "*2\r\n*1\r\n:1\r\n$1\r\na\r\n",
            Value::Array(vec![Value::Array(vec![Value::Integer(1)]), bulk("a")]),
        ),
        ("%1\r\n+a\r\n:1\r\n", Value::Map(vec![(Value::Simple("a".into()), Value::Integer(1))])),
        ("~1\r\n:1\r\n", Value::Set(vec![Value::Integer(1)])),
        (">1\r\n:1\r\n", Value::Push(vec![Value::Integer(1)])),
        ("#t\r\n", Value::Boolean(true)),
        (",1.5\r\n", Value::Double(1.5)),
        (",-inf\r\n", Value::Double(f64::NEG_INFINITY)),
        ("(-123456789012345678901\r\n", Value::BigNumber("-123456789012345678901".into())),
        ("=5\r\ntxt:a\r\n", Value::Verbatim { format: *b"txt", text: "a".into() }),
        ("!6\r\nERR no\r\n", Value::Error("ERR no".into())),
    ] {
        assert_eq!(decode(bytes), Ok(Some(value)), "{bytes:?}");
    }
}

#[test]
fn a_reply_without_form_is_refused() {
    for bytes in [
        "?\r\n",
        "\r\n",
        ":x\r\n",
        ":1\n",
        "$-2\r\n",
        "%-1\r\n",
        "#x\r\n",
        "_x\r\n",
        "(x\r\n",
        "=1\r\na\r\n",
        "$1\r\nab\r\n",
    ] {
        assert!(decode(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn nesting_is_read_to_its_limit_and_no_deeper() {
    assert!(decode(&format!("{}:1\r\n", "*1\r\n".repeat(8))).unwrap().is_some());
    let error = decode(&"*1\r\n".repeat(9)).unwrap_err();
    assert_eq!(error.to_string(), "a reply has a depth of 9; the limit is 8");
}

#[test]
fn a_declared_length_over_the_limit_is_refused_at_once() {
    assert!(decode("*1048577\r\n").is_err());
    assert!(decode("$33554433\r\n").is_err());
    assert!(decode(&"x".repeat((64 << 10) + 1)).is_err());
}

#[test]
fn the_limits_count_for_each_reply_anew() {
    let limits = ValueLimits { values_max: 2, reply_bytes_max: 12, ..ValueLimits::default() };
    let mut decoder = ValueDecoder::new(limits);
    let mut input = BytesMut::from("*1\r\n:1\r\n*1\r\n:1\r\n*2\r\n:1\r\n:1\r\n");
    assert!(decoder.decode(&mut input).unwrap().is_some());
    assert!(decoder.decode(&mut input).unwrap().is_some());
    assert!(decoder.decode(&mut input).is_err());
}
