//! Agreement with the `redis-protocol` crate, which was written by others from the same specification.

use bytes::{Bytes, BytesMut};
use posthaste_protocol::frame::{Decoder, Limits};
use posthaste_protocol::reply::{Encoder, Version};
use posthaste_protocol::value::{Value, ValueDecoder, ValueLimits};
use proptest::collection::vec;
use proptest::prelude::*;
use redis_protocol::resp2::{self, types::BytesFrame as Frame2};
use redis_protocol::resp3::{self, types::BytesFrame as Frame3, types::VerbatimStringFormat};

fn to_frame2(value: &Value) -> Frame2 {
    match value {
        Value::Simple(text) => Frame2::SimpleString(text.clone()),
        Value::Error(text) => Frame2::Error(std::str::from_utf8(text).unwrap().into()),
        Value::Integer(number) => Frame2::Integer(*number),
        Value::Bulk(bytes) => Frame2::BulkString(bytes.clone()),
        Value::Null => Frame2::Null,
        Value::Array(values) => Frame2::Array(values.iter().map(to_frame2).collect()),
        other => panic!("RESP2 has no {other:?}"),
    }
}

fn from_frame2(frame: Frame2) -> Value {
    match frame {
        Frame2::SimpleString(text) => Value::Simple(text),
        Frame2::Error(text) => Value::Error(text.into_inner()),
        Frame2::Integer(number) => Value::Integer(number),
        Frame2::BulkString(bytes) => Value::Bulk(bytes),
        Frame2::Null => Value::Null,
        Frame2::Array(frames) => Value::Array(frames.into_iter().map(from_frame2).collect()),
    }
}

fn to_frame3(value: &Value) -> Frame3 {
    let attributes = None;
    match value.clone() {
        Value::Simple(data) => Frame3::SimpleString { data, attributes },
        Value::Error(text) => {
            Frame3::SimpleError { data: std::str::from_utf8(&text).unwrap().into(), attributes }
        }
        Value::Integer(data) => Frame3::Number { data, attributes },
        Value::Bulk(data) => Frame3::BlobString { data, attributes },
        Value::Null => Frame3::Null,
        Value::Boolean(data) => Frame3::Boolean { data, attributes },
        Value::Double(data) => Frame3::Double { data, attributes },
        Value::BigNumber(data) => Frame3::BigNumber { data, attributes },
        Value::Verbatim { text: data, .. } => {
            Frame3::VerbatimString { data, format: VerbatimStringFormat::Text, attributes }
        }
        Value::Array(values) => Frame3::Array { data: values.iter().map(to_frame3).collect(), attributes },
        Value::Push(values) => Frame3::Push { data: values.iter().map(to_frame3).collect(), attributes },
        Value::Set(values) => Frame3::Set { data: values.iter().map(to_frame3).collect(), attributes },
        Value::Map(pairs) => {
            let data = pairs.iter().map(|(key, value)| (to_frame3(key), to_frame3(value))).collect();
            Frame3::Map { data, attributes }
        }
    }
}

fn from_frame3(frame: Frame3) -> Value {
    match frame {
        Frame3::SimpleString { data, .. } => Value::Simple(data),
        Frame3::SimpleError { data, .. } => Value::Error(data.into_inner()),
        Frame3::Number { data, .. } => Value::Integer(data),
        Frame3::BlobString { data, .. } => Value::Bulk(data),
        Frame3::Null => Value::Null,
        Frame3::Boolean { data, .. } => Value::Boolean(data),
        Frame3::VerbatimString { data, .. } => Value::Verbatim { format: *b"txt", text: data },
        Frame3::Array { data, .. } => Value::Array(data.into_iter().map(from_frame3).collect()),
        Frame3::Set { data, .. } => Value::Set(data.into_iter().map(from_frame3).collect()),
        Frame3::Map { data, .. } => {
            Value::Map(data.into_iter().map(|(key, value)| (from_frame3(key), from_frame3(value))).collect())
        }
        other => panic!("the encoder never writes {other:?}"),
    }
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn text() -> impl Strategy<Value = Bytes> {
    "[ -~]{1,20}".prop_map(Bytes::from)
}

/// What both versions have.
fn plain() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::Simple),
        text().prop_map(|text| Value::Error([b"ERR ", &text[..]].concat().into())),
        any::<i64>().prop_map(Value::Integer),
        bytes().prop_map(Value::Bulk),
        Just(Value::Null),
    ]
}

fn resp2() -> impl Strategy<Value = Value> {
    plain().prop_recursive(5, 40, 6, |inner| vec(inner, 0..6).prop_map(Value::Array))
}

/// What the encoder can write in RESP3. Maps and sets of one: the other crate forgets their order.
fn resp3() -> impl Strategy<Value = Value> {
    let verbatim = text().prop_map(|text| Value::Verbatim { format: *b"txt", text });
    let leaf = prop_oneof![4 => plain(), 1 => any::<bool>().prop_map(Value::Boolean), 1 => verbatim];
    let key = || text().prop_map(Value::Simple);
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            (key(), inner).prop_map(|pair| Value::Map(vec![pair])),
            key().prop_map(|value| Value::Set(vec![value])),
        ]
    })
}

/// Types that only a client has to know.
fn resp3_unwritten() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i32>().prop_map(|number| Value::Double(f64::from(number) / 4.0)),
        "-?[1-9][0-9]{0,30}".prop_map(|digits| Value::BigNumber(digits.into())),
        vec(plain(), 1..4).prop_map(Value::Push),
    ]
}

fn encode(reply: &mut Encoder<'_>, value: &Value) {
    use posthaste_protocol::reply::ErrorCode;
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    match value {
        Value::Simple(word) => reply.simple(&text(word)),
        Value::Error(line) => reply.error(ErrorCode::Err, text(line).trim_start_matches("ERR ")),
        Value::Integer(number) => reply.integer(*number),
        Value::Bulk(bytes) => reply.bulk(bytes),
        Value::Null => reply.null(),
        Value::Boolean(value) => reply.boolean(*value),
        Value::Verbatim { text: shown, .. } => reply.verbatim(&text(shown)),
        Value::Array(values) => {
            reply.array(values.len());
            values.iter().for_each(|value| encode(reply, value));
        }
        Value::Set(values) => {
            reply.set(values.len());
            values.iter().for_each(|value| encode(reply, value));
        }
        Value::Map(pairs) => {
            reply.map(pairs.len());
            for (key, value) in pairs {
                encode(reply, key);
                encode(reply, value);
            }
        }
        other => panic!("the encoder never writes {other:?}"),
    }
}

fn encoded(version: Version, value: &Value) -> BytesMut {
    let mut out = BytesMut::new();
    encode(&mut Encoder::new(&mut out, version), value);
    out
}

fn decoded(mut input: BytesMut) -> Value {
    let value = ValueDecoder::new(ValueLimits::default()).decode(&mut input).unwrap().unwrap();
    assert!(input.is_empty());
    value
}

proptest! {
    #[test]
    fn what_we_write_in_resp2_the_other_reads(value in resp2()) {
        let bytes = encoded(Version::Resp2, &value).freeze();
        let (frame, len) = resp2::decode::decode_bytes(&bytes).unwrap().unwrap();
        prop_assert_eq!((from_frame2(frame), len), (value, bytes.len()));
    }

    #[test]
    fn what_the_other_writes_in_resp2_we_read(value in resp2()) {
        let mut bytes = BytesMut::new();
        resp2::encode::extend_encode(&mut bytes, &to_frame2(&value), false).unwrap();
        prop_assert_eq!(decoded(bytes), value);
    }

    #[test]
    fn what_we_write_in_resp3_the_other_reads(value in resp3()) {
        let bytes = encoded(Version::Resp3, &value).freeze();
        let (frame, len) = resp3::decode::complete::decode_bytes(&bytes).unwrap().unwrap();
        prop_assert_eq!((from_frame3(frame), len), (value, bytes.len()));
    }

    #[test]
    fn what_the_other_writes_in_resp3_we_read(value in prop_oneof![3 => resp3(), 1 => resp3_unwritten()]) {
        let mut bytes = BytesMut::new();
        resp3::encode::complete::extend_encode(&mut bytes, &to_frame3(&value), false).unwrap();
        prop_assert_eq!(decoded(bytes), value);
    }

    #[test]
    fn requests_that_the_other_writes_we_read(arguments in vec(bytes(), 1..12)) {
        let frame = Frame2::Array(arguments.iter().cloned().map(Frame2::BulkString).collect());
        let mut input = BytesMut::new();
        resp2::encode::extend_encode(&mut input, &frame, false).unwrap();
        let mut decoder = Decoder::new(Limits::after_auth(64));
        let request = decoder.decode(&mut input).unwrap().unwrap();
        prop_assert!(request.arguments().eq(arguments.iter().map(|argument| &argument[..])));
    }
}
