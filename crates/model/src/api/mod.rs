//! The JSON bodies of `/api/v1`, one file per resource.
