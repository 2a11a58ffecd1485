//! What a build has said, asked of the node that it runs on.

use switchyard_executor::Executor as _;

use crate::yard::{Yard, lasting, plane};

#[tokio::test]
async fn the_end_of_a_log_is_read_from_the_node_and_holds_no_secret() {
    let yard = Yard::new("logs").await;
    let mut build = lasting(1);
    build.spec.env.insert("NPM_TOKEN".to_owned(), "hunter2$hunter2".to_owned());
    let uid = yard.run(&build).await;
    assert_eq!(yard.reaper.log(&build.build, 1, &uid).await, Ok(None), "it has said nothing yet");

    // Longer than what is kept, in lines short and long.
    let line = |n: usize| format!("{n} with hunter2$hunter2 {}\n", "x".repeat(n % 97 * 10));
    let text: String = (0..3000).map(line).collect();
    plane().await.have_said(&text).unwrap();
    let kept = String::from_utf8(yard.reaper.log(&build.build, 1, &uid).await.unwrap().unwrap()).unwrap();
    let masked = text.replace("hunter2$hunter2", "***");
    assert!(masked.ends_with(&kept), "it is the end of all");
    assert!(kept.len() <= 64 << 10 && kept.len() > (64 << 10) - 2000, "{}", kept.len());
    assert!(kept.starts_with(|first: char| first.is_ascii_digit()), "it begins with a whole line");

    // However long its lines are: the end is never what is cut off.
    plane().await.have_said(&format!("{}\nthe end\n", "y".repeat(15_000)).repeat(400)).unwrap();
    let kept = String::from_utf8(yard.reaper.log(&build.build, 1, &uid).await.unwrap().unwrap()).unwrap();
    assert!(kept.ends_with("\nthe end\n"));

    assert_eq!(yard.reaper.log(&build.build, 1, "another").await, Ok(None));
    yard.reaper.delete(&build.build, 1, &uid).await.unwrap();
    yard.reaper.release(&build.build, 1, &uid).await.unwrap();
    yard.gone(&build).await;
    assert_eq!(yard.reaper.log(&build.build, 1, &uid).await, Ok(None));
}
