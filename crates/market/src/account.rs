//! The account that a host keeps of a channel.
//!
//! Nobody pays in advance. The host signs for what it has said so far, and the client pays for what it has been signed, while the
//! answer goes on. What either can lose is small: the host what it said since the last voucher, the client nothing, for it
//! pays only what it holds a receipt for.
//!
//! Before an answer begins, all that it may come to is set aside, so that no answer ends because the channel is empty.

use claim::Amount;

/// Why an account does not do what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The channel's deposit does not cover the answer.
    #[error("the answer may cost {needed} millionths of a dollar, and the channel has {free} left")]
    Unfunded {
        /// What the answer may come to.
        needed: Amount,
        /// What is neither owed nor set aside.
        free: Amount,
    },
    /// The client has been given more than the host lends.
    #[error("the channel owes {owed} millionths of a dollar, has vouchers over {paid}, and the host lends {credit}")]
    Overdue {
        /// All that the host has signed for.
        owed: Amount,
        /// What the newest voucher is over.
        paid: Amount,
        /// How far the one may be ahead of the other.
        credit: Amount,
    },
    /// The voucher is over less than one before it.
    #[error("the channel has a voucher over {kept} millionths of a dollar already, found one over {found}")]
    Older {
        /// What the newest voucher is over.
        kept: Amount,
        /// What this one is over.
        found: Amount,
    },
    /// The voucher is over more than there is.
    #[error("the voucher is over {found} millionths of a dollar, and the channel holds {capacity}")]
    Uncovered {
        /// The most that vouchers can draw on.
        capacity: Amount,
        /// What this one is over.
        found: Amount,
    },
}

/// Where an account stands. All amounts count from the opening of the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The most that vouchers can draw on.
    pub capacity: Amount,
    /// All that the host has signed for.
    pub owed: Amount,
    /// What the newest voucher is over.
    pub paid: Amount,
    /// Set aside for answers that are under way.
    pub reserved: Amount,
}

/// A channel, as its host counts.
#[derive(Clone, Debug)]
pub struct Account {
    now: Statement,
    credit: Amount,
}

impl Account {
    /// A channel that vouchers over `capacity` can draw on, of which `paid` are given already. The host lends up to `credit`.
    pub const fn new(capacity: Amount, paid: Amount, credit: Amount) -> Self {
        Self { now: Statement { capacity, owed: paid, paid, reserved: Amount::new(0) }, credit }
    }

    /// Where it stands.
    pub const fn statement(&self) -> Statement {
        self.now
    }

    /// The chain says anew what vouchers can draw on.
    pub const fn set_capacity(&mut self, capacity: Amount) {
        self.now.capacity = capacity;
    }

    /// Sets aside what an answer may come to.
    ///
    /// # Errors
    ///
    /// The client is behind with paying, or the channel does not cover it.
    pub fn reserve(&mut self, needed: Amount) -> Result<(), Refusal> {
        self.check_credit()?;
        let taken = add(self.now.owed, self.now.reserved);
        let free = sub(self.now.capacity, taken);
        if needed > free {
            return Err(Refusal::Unfunded { needed, free });
        }
        self.now.reserved = add(self.now.reserved, needed);
        Ok(())
    }

    /// Turns a part of what was set aside into a debt: the host has signed for it.
    ///
    /// # Errors
    ///
    /// [`Refusal::Overdue`]. It is owed all the same; the answer should not go on.
    pub fn charge(&mut self, amount: Amount) -> Result<(), Refusal> {
        self.release(amount);
        self.now.owed = add(self.now.owed, amount);
        self.check_credit()
    }

    /// Gives back what was set aside and is not needed.
    pub fn release(&mut self, amount: Amount) {
        self.now.reserved = sub(self.now.reserved, amount);
    }

    /// Whether a voucher over `amount` may be taken, and is news.
    ///
    /// # Errors
    ///
    /// It is over less than the newest one, or over more than there is.
    pub fn check(&self, amount: Amount) -> Result<bool, Refusal> {
        let Statement { capacity, paid, .. } = self.now;
        if amount < paid {
            return Err(Refusal::Older { kept: paid, found: amount });
        }
        if amount > capacity {
            return Err(Refusal::Uncovered { capacity, found: amount });
        }
        Ok(amount > paid)
    }

    /// A voucher that was checked is kept. A client that pays ahead has that much more credit.
    pub fn pay(&mut self, amount: Amount) {
        self.now.paid = self.now.paid.max(amount);
    }

    fn check_credit(&self) -> Result<(), Refusal> {
        let (Statement { owed, paid, .. }, credit) = (self.now, self.credit);
        if owed > add(paid, credit) { Err(Refusal::Overdue { owed, paid, credit }) } else { Ok(()) }
    }
}

/// Amounts stay far below this type's end: channels count in 96 bits, and prices times tokens in 97.
const fn add(left: Amount, right: Amount) -> Amount {
    Amount::new(left.get().saturating_add(right.get()))
}

const fn sub(left: Amount, right: Amount) -> Amount {
    Amount::new(left.get().saturating_sub(right.get()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn amount(units: u128) -> Amount {
        Amount::new(units)
    }

    #[test]
    fn a_client_that_stops_paying_is_served_up_to_the_credit() {
        let mut account = Account::new(amount(1_000), amount(100), amount(50));
        assert_eq!(account.reserve(amount(901)), Err(Refusal::Unfunded { needed: amount(901), free: amount(900) }));
        assert_eq!(account.reserve(amount(200)), Ok(()));
        assert_eq!(account.charge(amount(50)), Ok(()));
        let overdue = Refusal::Overdue { owed: amount(151), paid: amount(100), credit: amount(50) };
        assert_eq!(account.charge(amount(1)), Err(overdue));
        account.release(amount(149));
        assert_eq!(account.reserve(amount(1)), Err(overdue));
        assert_eq!(account.check(amount(99)), Err(Refusal::Older { kept: amount(100), found: amount(99) }));
        assert_eq!(account.check(amount(100)), Ok(false));
        assert!(account.check(amount(1_001)).is_err());
        assert_eq!(account.check(amount(151)), Ok(true));
        account.pay(amount(151));
        assert_eq!(account.reserve(amount(849)), Ok(()));
        let expect = Statement { capacity: amount(1_000), owed: amount(151), paid: amount(151), reserved: amount(849) };
        assert_eq!(account.statement(), expect);
    }

    /// What can happen to an account.
    #[derive(Clone, Debug)]
    enum Happens {
        Reserve(u128),
        Sign(usize, u128),
        End(usize),
        Voucher(u128),
    }

    fn happens() -> impl Strategy<Value = Happens> {
        prop_oneof![
            (0..400_u128).prop_map(Happens::Reserve),
            (0..4_usize, 0..100_u128).prop_map(|(which, more)| Happens::Sign(which, more)),
            (0..4_usize).prop_map(Happens::End),
            (0..1_200_u128).prop_map(Happens::Voucher),
        ]
    }

    proptest! {
        /// Whatever happens, the host never signs for more than the channel covers, and never lends more than its credit and one
        /// signature for each answer that is under way.
        #[test]
        fn an_account_covers_what_is_owed(all in proptest::collection::vec(happens(), 0..200)) {
            let credit = amount(50);
            let mut account = Account::new(amount(1_000), amount(0), credit);
            let mut open: Vec<u128> = Vec::new();
            for one in all {
                match one {
                    Happens::Reserve(needed) if open.len() < 4 && account.reserve(amount(needed)).is_ok() => {
                        open.push(needed);
                    }
                    Happens::Sign(which, more) if which < open.len() => {
                        let more = more.min(open[which]);
                        open[which] -= more;
                        if account.charge(amount(more)).is_err() {
                            account.release(amount(open.swap_remove(which)));
                        }
                    }
                    Happens::End(which) if which < open.len() => {
                        account.release(amount(open.swap_remove(which)));
                    }
                    Happens::Voucher(over) if account.check(amount(over)) == Ok(true) => account.pay(amount(over)),
                    _ => {}
                }
                let Statement { capacity, owed, paid, reserved } = account.statement();
                prop_assert_eq!(reserved.get(), open.iter().sum::<u128>());
                prop_assert!(owed.get() + reserved.get() <= capacity.get());
                prop_assert!(paid <= capacity);
                prop_assert!(owed.get() <= paid.get() + credit.get() + 4 * 100);
            }
        }
    }
}
