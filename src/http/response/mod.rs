//! Parts of answers that many routes share.

pub mod cache_status;
pub mod etag;
pub mod pagination;
pub mod problem;
