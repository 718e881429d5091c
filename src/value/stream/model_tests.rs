//! The stream against a simple model: every change and what undoes it.
