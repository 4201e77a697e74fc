use super::*;

fn report() -> Report {
    let mut report = Report::new("run <&>");
    report.fact("a \"fact\"", "<b>".to_owned());
    report.figure(
        Figure::many("deliveries a second", "1/s", vec![28_000.0, 30_000.0, 29_000.0]).at_least(16_667.0),
    );
    report.figure(Figure::one("CPU", "us", 45.0).at_most(17.0));
    report.latencies.push((
        "acknowledged to received".to_owned(),
        Percentiles { p50_us: 300.0, ..Percentiles::default() },
    ));
    report.plots.push(Plot {
        title: "rate".to_owned(),
        x: Axis::linear("seconds"),
        y: Axis::log("a second"),
        lines: vec![Line::new("received & more", vec![(0.0, 0.0), (1.0, 10.0), (2.0, 20.0)])],
    });
    report
}

#[test]
fn the_table_names_target_and_whether_it_is_met() {
    let text = text::write(&report());
    let line = |name: &str| {
        text.lines()
            .find(|line| line.starts_with(name))
            .unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(line("deliveries"), "deliveries a second 29,000 1/s 28,000 to 30,000 at least 16,667 met");
    assert_eq!(line("CPU"), "CPU 45.0 us at most 17.0 MISSED");
    assert!(line("acknowledged").starts_with("acknowledged to received 300 us"));
}

#[test]
fn json_has_the_same_figures() {
    let json = json::write(&report());
    assert_eq!(json["figures"][0]["median"], 29_000.0);
    assert_eq!(json["figures"][0]["target"]["at_least"], 16_667.0);
    assert_eq!(json["figures"][1]["met"], false);
    assert_eq!(json["latencies"]["acknowledged to received"]["p50_us"], 300.0);
    assert_eq!(json["unaccounted"], serde_json::Value::Null);
}

#[test]
fn the_page_loads_nothing_from_anywhere() {
    let page = page::write(&report());
    for reference in ["http:", "https:", "//", "src=", "href=", "url(", "@import", "<script"] {
        assert!(!page.contains(reference), "{reference}");
    }
}

#[test]
fn every_tag_of_the_page_is_closed_in_its_order_and_text_is_no_markup() {
    let page = page::write(&report());
    assert!(
        page.contains("run &lt;&amp;&gt;")
            && page.contains("a &quot;fact&quot;")
            && page.contains("received &amp; more")
    );
    let body = page.strip_prefix("<!doctype html>\n").unwrap();
    let mut open = Vec::new();
    for tag in body.split('<').skip(1).map(|rest| rest.split_once('>').unwrap().0) {
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        match tag {
            _ if tag.starts_with('/') => assert_eq!(open.pop(), Some(name), "{tag}"),
            _ if tag.ends_with('/') || name == "meta" => {}
            _ => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn points_that_have_no_place_on_an_axis_are_left_out() {
    let plot = &report().plots[0];
    let drawn = svg::draw(plot);
    let points = drawn.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(points.split(' ').count(), 2, "{points}");
}

#[test]
fn a_file_that_cannot_be_written_is_refused_beforehand() {
    let files = Files { json: Some("/nowhere/at/all.json".into()), html: None };
    assert_eq!(
        files.check().unwrap_err().to_string(),
        "--json /nowhere/at/all.json: there is no folder /nowhere/at"
    );
    let files = Files { json: None, html: Some("/".into()) };
    assert!(files.check().is_err());
}
