//! SQL written once for both databases, and the values that go into it.

use std::sync::{Arc, LazyLock};

use serde::Serialize;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

pub(super) use super::query_metrics::{NO_TABLE, Operation};

/// Which SQL a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    Sqlite,
}

/// Words of a closed set of the domain as a list of SQL, like `'delivered', 'failed'`.
pub(super) fn words(words: impl IntoIterator<Item = &'static str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("'{word}'")).collect();
    quoted.join(", ")
}

/// A statement whose text never changes, so that each connection prepares it once however many rows it is given.
///
/// Words in braces stand for what the dialects say differently: `{rows}` is the JSON array in `$1` as a table
/// `r`, `= {any}` is membership in the JSON array of texts in `$1`, and `{for_update}` locks the rows read until
/// the transaction ends (SQLite has one writer, who needs no locks). `{one}` ends the question of an `EXISTS` that is asked for
/// each row of a result: without it Postgres may keep a plan that reads all of the other table first.
#[derive(Debug)]
pub(super) struct Statement {
    postgres: Arc<str>,
    sqlite: Arc<str>,
    operation: Operation,
}

/// A statement that is made at its first use.
pub(super) type LazyStatement = LazyLock<Statement>;

impl Statement {
    /// A statement without `{rows}`.
    pub(super) fn new(operation: Operation, text: &str) -> Self {
        Self::over(operation, "", text)
    }

    /// A statement over `{rows}`: `columns` lists names and types as `id text, total int`. Types are `text`, `int`,
    /// `float` and `bool`.
    pub(super) fn over(operation: Operation, columns: &str, text: &str) -> Self {
        Self::apart(operation, columns, text, text)
    }

    /// A statement over `{rows}` that the two dialects have to say differently.
    pub(super) fn apart(operation: Operation, columns: &str, postgres: &str, sqlite: &str) -> Self {
        debug_assert!(
            operation.is_named_in(postgres) && operation.is_named_in(sqlite),
            "a statement names its verb and table: {operation:?} in {postgres} and {sqlite}"
        );
        let [postgres, sqlite] = [postgres, sqlite].map(|text| text.replace("{one}", "LIMIT 1 OFFSET 0"));
        Self {
            operation,
            postgres: postgres
                .replace("{rows}", &postgres_rows(columns))
                .replace("= {any}", "= ANY(ARRAY(SELECT json_array_elements_text($1::json)))")
                // Leaves foreign keys to the row checkable by others.
                .replace("{for_update}", "FOR NO KEY UPDATE")
                .into(),
            sqlite: sqlite
                .replace("{rows}", &sqlite_rows(columns))
                .replace("= {any}", "IN (SELECT value FROM json_each($1))")
                .replace("{for_update}", "")
                .into(),
        }
    }

    /// Labels in the metrics.
    pub(super) fn operation(&self) -> Operation {
        self.operation
    }

    /// The text for `dialect`.
    pub(super) fn text(&self, dialect: Dialect) -> SqlStr {
        let text = match dialect {
            Dialect::Postgres => &self.postgres,
            Dialect::Sqlite => &self.sqlite,
        };
        // Made of literals of this module's callers only; values are bound.
        AssertSqlSafe(Arc::clone(text)).into_sql_str()
    }
}

fn columns_of(columns: &str) -> impl Iterator<Item = (&str, &str)> {
    columns
        .split(',')
        .filter(|column| !column.trim().is_empty())
        .map(|column| column.trim().split_once(' ').expect("a column is a name and a type"))
}

fn postgres_rows(columns: &str) -> String {
    let list: Vec<String> = columns_of(columns)
        .map(|(name, kind)| {
            let kind = match kind {
                "text" => "text",
                "int" => "bigint",
                "float" => "double precision",
                "bool" => "boolean",
                other => unreachable!("columns are text, int, float or bool, not {other}"),
            };
            format!("{name} {kind}")
        })
        .collect();
    let names: Vec<&str> = columns_of(columns).map(|(name, _)| name).collect();
    // A server expects a hundred rows of a function, and would rather read a table of fewer rows as a whole, with a plan that it
    // keeps when the table has grown. Of a comparison that it cannot judge it expects one in two hundred to hold: this one holds always.
    format!(
        "(SELECT {} FROM ROWS FROM (json_to_recordset($1::json) AS ({})) WITH ORDINALITY AS j({}, place) \
         WHERE j.place + 0 = j.place) AS r",
        names.join(", "),
        list.join(", "),
        names.join(", ")
    )
}

fn sqlite_rows(columns: &str) -> String {
    let list: Vec<String> =
        columns_of(columns).map(|(name, _)| format!("value->>'$.{name}' AS {name}")).collect();
    format!("(SELECT {} FROM json_each($1)) AS r", list.join(", "))
}

/// A value bound to a placeholder.
#[derive(Clone, Debug)]
pub(super) enum Arg {
    Text(String),
    OptText(Option<String>),
    Int(i64),
    OptInt(Option<i64>),
    OptFloat(Option<f64>),
    Bool(bool),
    OptBool(Option<bool>),
}

impl Arg {
    /// An id, or anything else written as text.
    pub(super) fn text(value: impl ToString) -> Self {
        Self::Text(value.to_string())
    }

    /// The rows of a statement: one JSON array, whatever their number.
    pub(super) fn rows<T: Serialize>(rows: &[T]) -> Self {
        Self::Text(serde_json::to_string(rows).expect("rows are made of texts and numbers"))
    }

    /// A list of ids for `= {any}`.
    pub(super) fn texts(values: impl IntoIterator<Item = impl ToString>) -> Self {
        let values: Vec<String> = values.into_iter().map(|v| v.to_string()).collect();
        Self::rows(&values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_list_of_columns_makes_both_tables() {
        let statement = Statement::over(
            Operation::Select(NO_TABLE),
            "id text, n int, ok bool",
            "SELECT * FROM {rows} WHERE id = {any}",
        );
        assert_eq!(
            statement.text(Dialect::Postgres).as_str(),
            "SELECT * FROM (SELECT id, n, ok FROM ROWS FROM (json_to_recordset($1::json) AS (id text, n bigint, ok boolean)) \
             WITH ORDINALITY AS j(id, n, ok, place) WHERE j.place + 0 = j.place) AS r WHERE id = ANY(ARRAY(SELECT json_array_elements_text($1::json)))"
        );
        assert_eq!(
            statement.text(Dialect::Sqlite).as_str(),
            "SELECT * FROM (SELECT value->>'$.id' AS id, value->>'$.n' AS n, value->>'$.ok' AS ok \
             FROM json_each($1)) AS r WHERE id IN (SELECT value FROM json_each($1))"
        );
    }
}
