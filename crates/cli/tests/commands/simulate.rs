use super::run;

#[test]
fn a_seed_gives_the_same_run_twice() {
    let arguments = ["-o", "json", "simulate", "--seed", "3", "--family", "configs", "--duration", "1"];
    let (first, second) = (run(&arguments), run(&arguments));
    assert_eq!(first.code, 0, "{first:?}");
    assert_eq!(first.out, second.out);
    let runs = first.json();
    let [passed] = runs.as_array().unwrap().as_slice() else { panic!("{runs}") };
    assert_eq!((&passed["seed"], &passed["passed"]), (&3.into(), &true.into()), "{passed}");
    assert!(
        passed["acknowledged"].as_u64().unwrap() > 0 && passed["starts"].as_u64().unwrap() >= 3,
        "{passed}"
    );
}

#[test]
fn the_log_of_a_run_can_be_read() {
    let done = run(&["simulate", "--seed", "2", "--family", "mixed", "--duration", "1", "--log", "3"]);
    assert_eq!((done.code, done.out.lines().count()), (0, 4), "{done:?}");
    assert!(done.out.starts_with("seed 2 (mixed): "), "{done:?}");
}

#[test]
fn a_family_that_is_none_is_refused() {
    let done = run(&["simulate", "--family", "happy"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.errors.contains("mixed, crowd"), "{done:?}");
}
