//! What was sent to the broker and is not known to be stored.
//!
//! Each has a row, and each row a subject for the broker's acknowledgement, which is used again and again: a subject that the
//! broker has not seen before costs it a look at all subscriptions.

use async_nats::Subject;

/// Rows of what is on its way.
pub(crate) struct OnTheWay<T> {
    inbox: String,
    rows: Vec<Row<T>>,
    free: Vec<usize>,
    sent: usize,
}

struct Row<T> {
    reply: Subject,
    what: What<T>,
}

enum What<T> {
    Nothing,
    Sent(T),
    /// It was not waited for any longer. The broker may still speak of it, and until then nothing else stands here.
    GivenUp,
}

impl<T> OnTheWay<T> {
    /// Nothing yet; the broker acknowledges on `<inbox>.<row>`.
    pub(crate) fn to(inbox: String) -> Self {
        Self { inbox, rows: Vec::new(), free: Vec::new(), sent: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.sent
    }

    /// Where the next one will be acknowledged.
    pub(crate) fn next(&mut self) -> Subject {
        let row = self.free.last().copied().unwrap_or_else(|| {
            let row = self.rows.len();
            self.rows.push(Row { reply: Subject::from(format!("{}.{row}", self.inbox)), what: What::Nothing });
            self.free.push(row);
            row
        });
        self.rows[row].reply.clone()
    }

    /// It was sent, to be acknowledged where [`Self::next`] has said.
    pub(crate) fn put(&mut self, sent: T) {
        if let Some(row) = self.free.pop() {
            self.rows[row].what = What::Sent(sent);
            self.sent += 1;
        }
    }

    /// The broker has spoken on such a subject. `None` where nobody waits for it any more.
    pub(crate) fn take(&mut self, reply: &str) -> Option<T> {
        let number: usize = reply.strip_prefix(&*self.inbox)?.strip_prefix('.')?.parse().ok()?;
        let row = self.rows.get_mut(number)?;
        match std::mem::replace(&mut row.what, What::Nothing) {
            What::Nothing => None,
            What::GivenUp => {
                self.free.push(number);
                None
            }
            What::Sent(sent) => {
                self.free.push(number);
                self.sent -= 1;
                Some(sent)
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.rows.iter().filter_map(Row::sent)
    }

    /// Gives up those of which that is so.
    pub(crate) fn give_up(&mut self, hopeless: impl Fn(&T) -> bool) -> Vec<T> {
        let given_up: Vec<_> = self.rows.iter_mut().filter_map(|row| row.give_up(&hopeless)).collect();
        self.sent -= given_up.len();
        given_up
    }
}

impl<T> Row<T> {
    fn give_up(&mut self, hopeless: impl Fn(&T) -> bool) -> Option<T> {
        if !self.sent().is_some_and(hopeless) {
            return None;
        }
        match std::mem::replace(&mut self.what, What::GivenUp) {
            What::Sent(sent) => Some(sent),
            What::Nothing | What::GivenUp => None,
        }
    }

    const fn sent(&self) -> Option<&T> {
        match &self.what {
            What::Sent(sent) => Some(sent),
            What::Nothing | What::GivenUp => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(rows: &mut OnTheWay<u32>, what: u32) -> Subject {
        let reply = rows.next();
        rows.put(what);
        reply
    }

    #[test]
    fn a_row_is_used_again_once_the_broker_has_spoken_of_it() {
        let mut rows = OnTheWay::to("inbox".to_owned());
        let (first, second) = (sent(&mut rows, 1), sent(&mut rows, 2));
        assert_eq!((rows.len(), rows.take(&second), rows.len()), (2, Some(2), 1));
        assert_eq!(rows.take(&second), None, "twice is once");
        assert_eq!((sent(&mut rows, 3), rows.next().as_str()), (second, "inbox.2"));
        assert_eq!((rows.take(&first), rows.take("inbox.x"), rows.take("inbox.9")), (Some(1), None, None));
        assert_eq!(rows.iter().collect::<Vec<_>>(), [&3]);
    }

    #[test]
    fn what_was_given_up_is_not_mistaken_for_what_came_after_it() {
        let mut rows = OnTheWay::to("inbox".to_owned());
        let (first, second) = (sent(&mut rows, 1), sent(&mut rows, 2));
        assert_eq!((rows.give_up(|what| *what == 1), rows.len()), (vec![1], 1));
        let third = sent(&mut rows, 3);
        assert!(third != first && third != second);
        assert_eq!(rows.take(&first), None, "too late");
        assert_eq!(sent(&mut rows, 4), first, "but now nothing more will be said of it");
        assert_eq!((rows.take(&first), rows.take(&third), rows.take(&second), rows.len()), (Some(4), Some(3), Some(2), 0));
    }
}
