//! The attributes of plugin-api.
