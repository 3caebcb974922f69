//! The formats in which records leave: whole files, read again by readers of the formats.

mod common;

use common::{Device, Place, Server, errors, moment, position};
use odograph_lake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use odograph_lake::stored;
use quick_xml::events::Event;
use serde_json::{Value, json};

/// What could break out of a text, as a device's id.
const HOSTILE: &str = "<a> & \"b\"'";

/// Two devices: one drives, stands for longer than a gap, and drives on; the other sends one position, and one record
/// without any.
fn serve(place: &Place) -> Server {
    let server = place.serve();
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login("2"), "#AL#1");
    for second in [0, 10, 2000, 2010] {
        assert_eq!(device.position(second), "#ASD#1");
    }
    let mut device = Device::connect(server.listener("tcp"));
    assert_eq!(device.login(HOSTILE), "#AL#1");
    assert_eq!(device.position(5), "#ASD#1");
    assert_eq!(device.say(&position(6).replace("5355.0926;N;02732.4096;E", "NA;NA;NA;NA")), "#ASD#1");
    server
}

fn export(place: &Place, format: &str) -> Vec<u8> {
    let output = place.run(&["export", "records", "--format", format]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let is_map = ["gpx", "kml", "geojson"].contains(&format);
    let told = if is_map { "1 records without a valid position were left out\n" } else { "" };
    assert_eq!(errors(&output), told);
    output.stdout
}

fn text(place: &Place, format: &str) -> String {
    String::from_utf8(export(place, format)).expect("UTF-8")
}

/// Where all positions are, as JSON has it.
fn latitude_longitude(place: &Place) -> (String, String) {
    let record = &place.records(&["--device", "2"])[0];
    (record["position.latitude"].to_string(), record["position.longitude"].to_string())
}

/// The texts of an XML file's elements of a name, and that it is well-formed.
fn elements(xml: &str, name: &str) -> Vec<String> {
    let mut reader = quick_xml::Reader::from_str(xml);
    let (mut all, mut inside, mut depth) = (Vec::new(), false, 0_i32);
    loop {
        match reader.read_event().expect("well-formed XML") {
            Event::Start(start) => {
                depth += 1;
                inside = start.name().as_ref() == name.as_bytes();
                if inside {
                    all.push(String::new());
                }
            }
            Event::End(_) => (inside, depth) = (false, depth - 1),
            Event::Text(text) if inside => all.last_mut().expect("one").push_str(&text.decode().expect("UTF-8")),
            Event::GeneralRef(reference) if inside => {
                let reference = format!("&{};", reference.decode().expect("UTF-8"));
                all.last_mut().expect("one").push_str(&quick_xml::escape::unescape(&reference).expect("one of XML's"));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0);
    all
}

#[test]
fn gpx_has_a_track_for_each_device_and_a_segment_for_each_way() {
    let place = Place::new();
    let _server = serve(&place);
    let (latitude, longitude) = latitude_longitude(&place);
    let point = |second: u32| {
        format!(
            "<trkpt lat=\"{latitude}\" lon=\"{longitude}\"><ele>300</ele><time>{}</time><sat>7</sat><extensions>\
             <gpxtpx:TrackPointExtension><gpxtpx:speed>{:.3}</gpxtpx:speed><gpxtpx:course>2</gpxtpx:course>\
             </gpxtpx:TrackPointExtension></extensions></trkpt>\n",
            moment(second),
            f64::from(second % 100) / 3.6
        )
    };
    let (one, two) = (point(0) + &point(10), point(2000) + &point(2010));
    let expected = format!(
        "<trk>\n<name>2</name>\n<trkseg>\n{one}</trkseg>\n<trkseg>\n{two}</trkseg>\n</trk>\n\
         <trk>\n<name>&lt;a&gt; &amp; &quot;b&quot;&apos;</name>\n<trkseg>\n{}</trkseg>\n</trk>\n</gpx>\n",
        point(5)
    );
    let gpx = text(&place, "gpx");
    assert_eq!(gpx.split_once("v2.xsd\">\n").expect("a head").1, expected);
    assert_eq!(elements(&gpx, "name"), ["2", HOSTILE]);
    assert_eq!(elements(&gpx, "time"), [0, 10, 2000, 2010, 5].map(moment));
}

#[test]
fn kml_has_a_placemark_for_each_device_and_a_track_for_each_way() {
    let place = Place::new();
    let _server = serve(&place);
    let (latitude, longitude) = latitude_longitude(&place);
    let track = |seconds: &[u32]| {
        let whens: String = seconds.iter().map(|second| format!("<when>{}</when>\n", moment(*second))).collect();
        let coord = format!("<gx:coord>{longitude} {latitude} 300</gx:coord>\n");
        let speeds: String = seconds.iter().map(|second| format!("<gx:value>{}</gx:value>\n", second % 100)).collect();
        let (coords, courses) = (coord.repeat(seconds.len()), "<gx:value>2</gx:value>\n".repeat(seconds.len()));
        format!(
            "<gx:Track>\n{whens}{coords}<ExtendedData><SchemaData schemaUrl=\"#point\">\n\
             <gx:SimpleArrayData name=\"speed\">\n{speeds}</gx:SimpleArrayData>\n\
             <gx:SimpleArrayData name=\"course\">\n{courses}</gx:SimpleArrayData>\n\
             </SchemaData></ExtendedData>\n</gx:Track>\n"
        )
    };
    let placemark = |name: &str, tracks: String| {
        format!(
            "<Placemark>\n<name>{name}</name>\n<gx:MultiTrack>\n<gx:interpolate>0</gx:interpolate>\n{tracks}</gx:MultiTrack>\n</Placemark>\n"
        )
    };
    let first = placemark("2", track(&[0, 10]) + &track(&[2000, 2010]));
    let second = placemark("&lt;a&gt; &amp; &quot;b&quot;&apos;", track(&[5]));
    let kml = text(&place, "kml");
    assert_eq!(kml.split_once("</Schema>\n").expect("a head").1, format!("{first}{second}</Document>\n</kml>\n"));
    assert_eq!(elements(&kml, "name"), ["odograph", "2", HOSTILE]);
}

#[test]
fn geojson_has_a_line_for_each_way_with_the_times_of_its_points() {
    let place = Place::new();
    let _server = serve(&place);
    let (latitude, longitude) = latitude_longitude(&place);
    let number = |text: &str| serde_json::from_str::<Value>(text).expect("a number");
    let at = json!([number(&longitude), number(&latitude), 300.0]);
    let feature = |device: &str, geometry: Value, seconds: &[u32]| {
        let times: Vec<String> = seconds.iter().map(|second| moment(*second)).collect();
        let speeds: Vec<f64> = seconds.iter().map(|second| f64::from(second % 100)).collect();
        json!({"type": "Feature", "geometry": geometry, "properties": {
            "device": device, "day": "2026-11-23", "begin": times.first(), "end": times.last(), "times": times,
            "speeds": speeds, "courses": vec![2.0; seconds.len()]
        }})
    };
    let line = json!({"type": "LineString", "coordinates": [at, at]});
    let expected = json!({"type": "FeatureCollection", "features": [
        feature("2", line.clone(), &[0, 10]),
        feature("2", line, &[2000, 2010]),
        feature(HOSTILE, json!({"type": "Point", "coordinates": at}), &[5]),
    ]});
    assert_eq!(serde_json::from_str::<Value>(&text(&place, "geojson")).expect("JSON"), expected);
}

#[test]
fn csv_has_the_same_columns_in_the_same_order_and_parquet_the_same_records() {
    let place = Place::new();
    let server = serve(&place);
    let records = place.records(&[]);
    let csv = text(&place, "csv");
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(
        lines[0],
        "device,time,received,id,protocol,position_latitude,position_longitude,position_altitude,position_speed,\
         position_direction,position_valid,position_satellites,device_ip"
    );
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let of = |record: &Value| {
        let names = ["device", "time", "received", "id", "protocol", "position.latitude", "position.longitude"];
        let more =
            ["position.altitude", "position.speed", "position.direction", "position.valid", "position.satellites"];
        let cells = names
            .iter()
            .chain(&more)
            .chain(&["device.ip"])
            .map(|name| record.get(*name).map(shown).unwrap_or_default());
        let quoted =
            |cell: String| if cell.contains('"') { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell };
        cells.map(quoted).collect::<Vec<_>>().join(",")
    };
    assert_eq!(lines[1..], records.iter().map(of).collect::<Vec<_>>());
    let chosen = place.text(&["export", "records", "--format", "csv", "--parameters", "temperature.1,position.speed"]);
    assert_eq!(chosen.lines().next(), Some("device,time,received,id,protocol,temperature_1,position_speed"));
    assert_eq!(chosen.lines().count(), 1 + records.iter().filter(|record| !record["position.speed"].is_null()).count());
    let mut server = Some(server);
    for running in [true, false] {
        if !running {
            assert!(server.take().expect("it ran").stop().success());
        }
        let file = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(export(&place, "parquet")));
        let mut again = Vec::new();
        for rows in file.expect("a Parquet file").build().expect("a reader") {
            let rows = rows.expect("rows");
            again.extend(
                stored(&rows).expect("records").map(|record| serde_json::to_value(record.view()).expect("JSON")),
            );
        }
        assert_eq!(again, records);
    }
}

#[test]
fn without_any_record_each_format_is_whole() {
    let place = Place::new();
    let mut server = Some(place.serve());
    for running in [true, false] {
        if !running {
            assert!(server.take().expect("it ran").stop().success());
        }
        let gpx = place.text(&["export", "records", "--format", "gpx"]);
        assert_eq!((elements(&gpx, "trk").len(), gpx.ends_with("</gpx>\n")), (0, true));
        let kml = place.text(&["export", "records", "--format", "kml"]);
        assert_eq!((elements(&kml, "Placemark").len(), kml.ends_with("</kml>\n")), (0, true));
        let geojson: Value =
            serde_json::from_str(&place.text(&["export", "records", "--format", "geojson"])).expect("JSON");
        assert_eq!(geojson, json!({"type": "FeatureCollection", "features": []}));
        assert_eq!(place.text(&["export", "records", "--format", "csv"]), "device,time,received,id,protocol\n");
        assert_eq!(place.text(&["export", "records"]), "");
        let parquet = place.run(&["export", "records", "--format", "parquet"]).stdout;
        let file = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(parquet)).expect("a Parquet file");
        let names: Vec<String> = file.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["device", "time", "received", "id", "protocol", "day"]);
    }
}

#[test]
fn what_makes_no_sense_is_told() {
    let place = Place::new();
    for (arguments, expected) in [
        (vec!["--format", "gpx", "--follow"], "--follow is for --format jsonl"),
        (vec!["--format", "kml", "--parameters", "din"], "--parameters is for the formats jsonl, csv and parquet"),
        (vec!["--parameters", "position.sped"], "did you mean position.speed?"),
    ] {
        let output = place.run(&[&["export", "records"], &arguments[..]].concat());
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", errors(&output));
        assert!(errors(&output).contains(expected), "{arguments:?}: {}", errors(&output));
    }
}
