//! Parameters of lists.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::service::read::paging::Paging;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// `next` of the previous page
    #[param(example = "bmFtZXNwYWNlcyBMampuZXlMRCA0Mg")]
    cursor: Option<String>,
    /// The maximum number of entries; 100 by default
    #[param(minimum = 1, maximum = 1000, example = 100)]
    limit: Option<u32>,
}

impl From<PageQuery> for Paging {
    fn from(query: PageQuery) -> Self {
        Self::new(query.cursor, query.limit)
    }
}
