//! What the documents say about the binary.

use crate::harness::{Api, Site};

const OPERATIONS: &str = include_str!("../../../docs/operations.md");
const SHIPPED: &str = include_str!("../../src/config.default.toml");

#[test]
fn the_configuration_in_the_operations_document_is_the_shipped_one() {
    let blocks: Vec<&str> = OPERATIONS.split("```").skip(1).step_by(2).collect();
    let block =
        blocks.iter().find_map(|block| block.strip_prefix("toml\n").filter(|text| text.contains("[data]")));
    let block = block.expect("docs/operations.md has the shipped configuration in a block of TOML");
    for (number, (document, shipped)) in block.lines().zip(SHIPPED.lines()).enumerate() {
        assert_eq!(document, shipped, "line {}", number + 1);
    }
    assert_eq!(block, SHIPPED);
}

#[test]
fn the_operations_document_names_every_behaviour_of_the_test_receiver() {
    let source = include_str!("../../../loadtest/src/receiver/behaviour.rs");
    let rows: Vec<&str> = source.lines().filter_map(|line| line.strip_prefix("//! ")).collect();
    let rows = rows.into_iter().filter(|line| line.starts_with("| `/"));
    let missing: Vec<&str> = rows.clone().filter(|row| !OPERATIONS.contains(row)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(rows.count() >= 11);
}

#[tokio::test]
async fn every_metric_is_in_the_operations_document() {
    let posthaste = Site::new(&[]).start().await;
    let page = Api::at(posthaste.http()).get("/metrics").await;
    let types = page.as_str().expect("text").lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names: Vec<&str> = types.map(|line| line.split(' ').next().expect("a name")).collect();
    let missing: Vec<&&str> = names.iter().filter(|name| !OPERATIONS.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(names.len() >= 15, "{names:#?}");
}
