//! A long-lived host for native plugins.
