//! Whose orders a list is of, as the indexes have them, and which of those.

use sqlx_macros::FromRow;

use crate::domain::ids::{BusinessId, UserId};
use crate::domain::order::Status;
use crate::storage::error::StoreError;
use crate::storage::ports::{OrderQuery, OrderScope};
use crate::storage::sql::rows::parse;
use crate::storage::sql::statement::{Arg, Dialect, LazyStatement, Operation, Statement};

use super::asker::Asker;

/// Businesses whose orders one list is made of at most.
const MAX_BUSINESSES: i64 = 1_000;

static BUSINESSES: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("members"),
        "SELECT business_id FROM members WHERE user_id = $1 ORDER BY business_id LIMIT $2",
    )
});

static BUSINESS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("members"),
        "SELECT business_id FROM members WHERE user_id = $1 AND business_id = $2",
    )
});

#[derive(FromRow)]
struct BusinessRow {
    business_id: String,
}

/// Which part of the orders a list is of. Each has an index in which they stand in the order of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Customer(UserId),
    /// One at least.
    Businesses(Vec<BusinessId>),
    All,
}

impl Scope {
    /// That of `query`; `None` where there can be nothing in it.
    pub(super) async fn of(asker: &Asker<'_>, query: &OrderQuery) -> Result<Option<Self>, StoreError> {
        let (statement, args) = match (query.scope, query.business) {
            (OrderScope::Customer(user), _) => return Ok(Some(Self::Customer(user))),
            (OrderScope::Everybody, None) => return Ok(Some(Self::All)),
            (OrderScope::Everybody, Some(business)) => return Ok(Some(Self::Businesses(vec![business]))),
            (OrderScope::Member(user), None) => (&BUSINESSES, [Arg::text(user), Arg::Int(MAX_BUSINESSES)]),
            (OrderScope::Member(user), Some(business)) => (&BUSINESS, [Arg::text(user), Arg::text(business)]),
        };
        let rows: Vec<BusinessRow> = asker.fetch(statement, &args).await?;
        let businesses: Vec<BusinessId> = rows
            .iter()
            .map(|row| parse("members.business_id", &row.business_id))
            .collect::<Result<_, _>>()?;
        Ok((!businesses.is_empty()).then_some(Self::Businesses(businesses)))
    }
}

/// Conditions of `orders o` and their arguments, written with a `?` for each argument. Made of a few fixed pieces, so that
/// there are a few dozen texts and no more.
#[derive(Clone, Debug)]
pub(super) struct Conditions {
    pub(super) text: String,
    pub(super) args: Vec<Arg>,
}

impl Conditions {
    /// None yet; `args` come before those of the conditions.
    pub(super) fn after(args: Vec<Arg>) -> Self {
        Self { text: "true".to_owned(), args }
    }

    /// Adds a condition with a `?` for each argument.
    pub(super) fn add<const N: usize>(&mut self, condition: &str, args: [Arg; N]) {
        self.text.push_str(" AND ");
        let mut pieces = condition.split('?');
        self.text.push_str(pieces.next().unwrap_or_default());
        for (piece, arg) in pieces.zip(args) {
            let place = self.arg(arg);
            self.text.push_str(&place);
            self.text.push_str(piece);
        }
    }

    /// Adds an argument and tells its place.
    pub(super) fn arg(&mut self, arg: Arg) -> String {
        self.args.push(arg);
        format!("${}", self.args.len())
    }
}

/// What a list leaves out of its scope.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filter {
    pub(super) business: Option<BusinessId>,
    pub(super) status: Option<Status>,
}

impl Filter {
    /// Rows of one part, where each part is a range of an index. A customer's are few: what they are filtered by must not
    /// tempt a planner to look for it among everybody's.
    pub(super) fn put(self, part: Part, conditions: &mut Conditions) {
        match part {
            Part::Customer(user) => {
                conditions.add("o.customer_id = ?", [Arg::text(user)]);
                if let Some(business) = self.business {
                    conditions.add("(o.business_id || '') = ?", [Arg::text(business)]);
                }
                self.put_aside(conditions);
            }
            Part::Business(business) => {
                conditions.add("o.business_id = ?", [Arg::text(business)]);
                self.put_status(conditions);
            }
            Part::All => self.put_status(conditions),
        }
    }

    pub(super) fn put_status(self, conditions: &mut Conditions) {
        if let Some(status) = self.status {
            conditions.add("o.status = ?", [Arg::text(status.as_str())]);
        }
    }

    /// The same where no index is to be used for it.
    pub(super) fn put_aside(self, conditions: &mut Conditions) {
        if let Some(status) = self.status {
            conditions.add("(o.status || '') = ?", [Arg::text(status.as_str())]);
        }
    }
}

/// A range of an index.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Customer(UserId),
    Business(BusinessId),
    All,
}

impl Part {
    /// `orders o` by this part's index. SQLite is told which: where it believes that a part is most of the table, it would
    /// read the table.
    pub(super) fn orders(self, filter: Filter, dialect: Dialect) -> &'static str {
        match (self, filter.status, dialect) {
            (Self::Customer(_), _, Dialect::Sqlite) => "orders o INDEXED BY orders_by_customer",
            (Self::Business(_), None, Dialect::Sqlite) => "orders o INDEXED BY orders_by_business",
            (Self::Business(_), Some(_), Dialect::Sqlite) => "orders o INDEXED BY orders_by_business_status",
            (Self::All, Some(_), Dialect::Sqlite) => "orders o INDEXED BY orders_by_status",
            (Self::All, None, Dialect::Sqlite) | (_, _, Dialect::Postgres) => "orders o",
        }
    }

    /// The time its index orders by. On Postgres that of the operators' indexes is written otherwise than that of all others:
    /// a planner that could take one for the other walks past everybody's orders to find somebody's.
    pub(super) fn time(self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Self::All, Dialect::Postgres) => "(o.created_at + 0)",
            _ => "o.created_at",
        }
    }
}

/// Whether a row found without the text index has all the words, as an expression over `row`.
pub(super) fn test(
    row: &str,
    tests: &[Vec<String>],
    conditions: &mut Conditions,
    dialect: Dialect,
) -> String {
    if tests.is_empty() {
        return "true".to_owned();
    }
    let mut one = |test: &String| {
        let place = conditions.arg(Arg::Text(test.clone()));
        match dialect {
            Dialect::Postgres => format!(
                "{row}.search @@ replace({place}::text, '~', \
                 '#' || lpad(to_hex({row}.created_at / 604800000000), 4, '0'))::tsquery"
            ),
            Dialect::Sqlite => format!("instr({row}.words, {place}) > 0"),
        }
    };
    let tests: Vec<String> = tests
        .iter()
        .map(|forms| {
            let forms: Vec<String> = forms.iter().map(&mut one).collect();
            format!("({})", forms.join(" OR "))
        })
        .collect();
    tests.join(" AND ")
}
