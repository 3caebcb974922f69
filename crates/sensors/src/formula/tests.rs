//! What formulas give, what is refused, and that neither takes a stack.

use super::*;
use odograph_model::Key;

fn record() -> Record {
    let mut record = Record::new();
    record.set(Key::PositionSpeed, 50.0);
    record.set(Key::EngineIgnitionStatus, true);
    record.raw("385", "12.5");
    record
}

#[track_caller]
fn check(text: &str, expected: Option<f64>) {
    let formula = Formula::of(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    assert_eq!(formula.result(&record()), Ok(expected), "{text}");
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    assert_eq!(Formula::of(text).map(drop).map_err(|fault| fault.to_string()), Err(expected.to_owned()), "{text}");
}

#[test]
fn numbers_are_computed_whatever_their_type() {
    check("1 + 2 * 3", Some(7.0));
    check("value(\"position.speed\") * 2 - 0.5", Some(99.5));
    check("value('raw.385') / 5", Some(2.5));
    check("-value('raw.385')", Some(-12.5));
    check("value(\"engine.ignition.status\") == 1 ? value(\"position.speed\") : 0", Some(50.0));
    check("value(\"position.speed\") > 60 || value(\"position.speed\") <= 10 ? 1 : 2", Some(2.0));
    check("max(abs(-3), min(2, 1)) + clamp(7, 0, 5) + pow(2, 3) + sqrt(9)", Some(19.0));
    check("round(2.5) + floor(2.9) + ceil(2.1)", Some(8.0));
}

#[test]
fn what_a_record_lacks_gives_nothing_unless_the_formula_does_without() {
    check("value(\"fuel.level\") * 2", None);
    check("value(\"fuel.level\", 7) * 2", Some(14.0));
    check("value(\"fuel.level\", 0.5) + value(\"position.speed\", 1)", Some(50.5));
    check("known(\"fuel.level\") ? value(\"fuel.level\") : -1", Some(-1.0));
    check("known(\"position.speed\") ? 1 : 0", Some(1.0));
    check("1 / 0", None);
    for text in ["min(0.0 / 0.0, 1)", "max(1, 0.0 / 0.0)", "clamp(0.0 / 0.0, 1, 2)", "clamp(1, 0.0 / 0.0, 2)"] {
        check(text, None);
    }
    check("sqrt(-1)", None);
}

#[test]
fn what_is_no_number_is_said() {
    let result = |text: &str| Formula::of(text).unwrap().result(&record());
    assert_eq!(result("value(\"position.speed\") > 1"), Err("gives yes or no: write `… ? 1 : 0`".to_owned()));
    assert!(result("true + 1").is_err());
}

#[test]
fn mistakes_are_told_with_their_place() {
    refused("", "formula: is empty");
    refused(
        "position.speed * 2",
        "formula: line 1, column 9: .speed: a parameter is written as value(\"position.speed\")",
    );
    refused("2 * speed", "formula: line 1, column 5: speed: a parameter is written as value(\"speed\")");
    refused("1 +\n min(2)", "formula: line 2, column 5: min takes 2 arguments, and has 1");
    refused("value(1)", "formula: line 1, column 6: value takes a parameter's name: value(\"position.speed\")");
    let fault = Formula::of("value(\"no.such\")").map(drop).unwrap_err().to_string();
    assert!(fault.starts_with("formula: line 1, column 6: there is no parameter no.such: "), "{fault}");
    let fault = Formula::of("1 + * 2").map(drop).unwrap_err().to_string();
    assert!(fault.starts_with("formula: line 1, column "), "{fault}");
    let fault = Formula::of("[1, 2].map(x, x * 2)[0]").map(drop).unwrap_err().to_string();
    assert!(fault.contains("cannot be used"), "{fault}");
    let fault = Formula::of("matches(\"a\", \"b\")").map(drop).unwrap_err().to_string();
    assert!(fault.contains("matches cannot be used; there are value, known, abs"), "{fault}");
}

/// What is said of a new formula: that it is refused, or what is odd about it.
#[track_caller]
fn new(text: &str, expected: Result<&[&str], &str>) {
    let said = Formula::new(text).map(|(_, warnings)| warnings).map_err(|fault| fault.to_string());
    let expected = expected.map(|all| all.iter().map(|one| format!("formula: {one}")).collect::<Vec<_>>());
    assert_eq!(said, expected.map_err(|one| format!("formula: {one}")), "{text}");
}

const SPEED: &str = "value(\"position.speed\")";

#[test]
fn a_new_formula_that_can_never_give_a_number_is_refused() {
    let never = "so it can never give a number";
    for (text, place, why) in [
        ("SPEED / 0", 25, "divides by 0"),
        ("2 * (SPEED / (3 - 3)) + 1", 30, "divides by 0"),
        ("known(\"fuel.level\") ? 1 / 0 : sqrt(-1)", 25, "divides by 0"),
        ("true ? SPEED / 0 : 1", 32, "divides by 0"),
        ("abs(SPEED / 0)", 29, "divides by 0"),
        ("SPEED + sqrt(0 - 1)", 31, "is no number"),
        ("max(0.0 / 0.0, SPEED)", 9, "divides by 0"),
        ("pow(10, 400) * SPEED", 4, "is no number"),
    ] {
        new(&text.replace("SPEED", SPEED), Err(&format!("line 1, column {place}: {why}, {never}")));
    }
}

#[test]
fn a_new_formula_gets_numbers_where_it_takes_numbers() {
    let number = "is yes or no, and a number is needed here: write `… ? 1 : 0`";
    let answer = "is a number, and yes or no is needed here: write `… != 0`";
    for (text, place, why) in [
        ("SPEED > 1", 25, "gives yes or no: write `… ? 1 : 0`"),
        ("known(\"fuel.level\")", 6, "gives yes or no: write `… ? 1 : 0`"),
        ("true", 1, "gives yes or no: write `… ? 1 : 0`"),
        ("SPEED ? 1 : 0", 6, answer),
        ("SPEED && true ? 1 : 0", 6, answer),
        ("!SPEED ? 1 : 0", 7, answer),
        ("1 + (SPEED > 1)", 30, number),
        ("abs(true)", 5, number),
        ("-known(\"fuel.level\")", 7, number),
        ("known(\"fuel.level\") < 1 ? 1 : 0", 6, number),
        ("SPEED > 1 ? 1 : true", 35, number),
        ("SPEED > 1 ? false : 1", 39, answer),
        ("value(\"alarm\")", 6, "alarm is a list, which is no number"),
        ("known(\"alarm\") ? 1 : 0", 6, "alarm is a list, which is no number"),
    ] {
        new(&text.replace("SPEED", SPEED), Err(&format!("line 1, column {place}: {why}")));
    }
}

#[test]
fn what_may_be_wrong_about_a_new_formula_is_told_and_kept() {
    let may = "a record for which that counts may have no such sensor";
    new(&format!("{SPEED} * 1.02"), Ok(&[]));
    new("known(\"fuel.level\") && value(\"din\") != 0 ? value(\"fuel.level\", 0) : -1", Ok(&[]));
    // What cannot be is left out, and is meant to be.
    let bounded = format!("{SPEED} > 90 ? 0.0 / 0.0 : {SPEED}");
    new(&bounded, Ok(&[&format!("line 1, column 36: divides by 0: {may}")]));
    new(&format!("1 / ({SPEED} / 0)"), Ok(&[&format!("line 1, column 30: divides by 0: {may}")]));
    new(&format!("false ? 1 / 0 : {SPEED}"), Ok(&[]));
    let same = "compares a number with yes or no, which are never the same: a state is 1 or 0";
    new("value(\"din.1\") == true ? 1 : 0", Ok(&[&format!("line 1, column 16: {same}")]));
    new("1 + 2", Ok(&["takes no parameter, so it shows the same for every record"]));
    let text = "driver.id is a text, and counts where it reads as a number";
    new(
        "value(\"driver.id\") * value(\"driver.id\", 0)",
        Ok(&[&format!("line 1, column 6: {text}"), &format!("line 1, column 27: {text}")]),
    );
    // Whatever is kept already goes on as it was.
    check(&bounded, Some(50.0));
    assert_eq!(Formula::of("1 / 0").unwrap().result(&record()), Ok(None));
}

#[test]
fn bounds_hold_on_a_small_stack() {
    let long = |count: usize| vec!["1"; count].join("+");
    // Each part of a sum lies one deeper than the next.
    let texts = [
        "1".repeat(FORMULA_BYTES_MAX + 1),
        "(".repeat(FORMULA_BYTES_MAX),
        format!("{}1{}", "(".repeat(400), ")".repeat(400)),
        "!".repeat(FORMULA_BYTES_MAX - 4) + "true",
        "-".repeat(FORMULA_BYTES_MAX - 1) + "1",
        "abs(".repeat(30) + "1",
        "true?1:".repeat(140) + "1",
        "1?".repeat(400),
        "[".repeat(FORMULA_BYTES_MAX),
        "a.b".repeat(300),
        "\"".repeat(999),
        "\u{0}".repeat(500),
        long(400),
    ];
    let checked = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        for text in texts {
            let _ = Formula::new(&text);
            if let Ok(formula) = Formula::of(&text) {
                let _ = formula.result(&record());
            }
        }
        let deep = format!("{}7{}", "abs(".repeat(DEPTH_MAX - 1), ")".repeat(DEPTH_MAX - 1));
        let deeper = format!("{}7{}", "abs(".repeat(DEPTH_MAX), ")".repeat(DEPTH_MAX));
        let of = |text: &str| Formula::of(text).map(|formula| formula.result(&record()));
        let given = [&long(20), &deep].map(|text| of(text).unwrap());
        (given, of(&deeper).is_err(), of(&long(400)).is_err())
    });
    assert_eq!(checked.unwrap().join().unwrap(), ([Ok(Some(20.0)), Ok(Some(7.0))], true, true));
}
