//! Facts of parameters and bodies that derived schemas leave out.

use std::collections::BTreeSet;

use serde_json::Value;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{Object, Schema, SchemaType, Type};
use utoipa::openapi::{Components, RefOr};

/// A header or a parameter of a query is a text or a number, or it is not sent; it is never `null`.
pub(super) fn never_null(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && parameter.parameter_in != ParameterIn::Path
            && let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema
            && let SchemaType::Array(types) = &schema.schema_type
            && let Some(kind) = types.iter().find(|kind| **kind != Type::Null)
        {
            schema.schema_type = SchemaType::Type(kind.clone());
        }
    }
}

/// In a body, a field that may be left out may be `null` as well, unless something else than nothing counts then.
pub(super) fn optional_is_nullable(components: &mut Components, bodies: BTreeSet<String>) {
    let mut todo: Vec<String> = bodies.into_iter().collect();
    let mut done = BTreeSet::new();
    while let Some(name) = todo.pop() {
        if let Some(RefOr::T(Schema::Object(body))) = components.schemas.get_mut(&name)
            && done.insert(name)
        {
            let required = body.required.clone();
            for (field, schema) in body.properties.iter_mut() {
                match schema {
                    RefOr::T(Schema::Object(schema))
                        if !required.contains(field) && schema.default.is_none() =>
                    {
                        allow_null(schema);
                    }
                    schema => todo.extend(names_in(schema)),
                }
            }
        }
    }
}

fn allow_null(schema: &mut Object) {
    if let SchemaType::Type(kind) = &schema.schema_type {
        schema.schema_type = SchemaType::Array(vec![kind.clone(), Type::Null]);
        if let Some(words) = &mut schema.enum_values {
            words.push(Value::Null);
        }
    }
}

/// The schemas that are referred to anywhere in it.
pub(super) fn names_in(part: &impl serde::Serialize) -> BTreeSet<String> {
    fn collect(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                let target = fields.get("$ref").and_then(Value::as_str);
                found.extend(target.and_then(|t| t.strip_prefix("#/components/schemas/")).map(str::to_owned));
                fields.values().for_each(|value| collect(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    collect(&serde_json::to_value(part).unwrap_or_default(), &mut found);
    found
}
