//! Compares every type, constant, name and function type with the facts taken from the published headers, both ways:
//! a fact without a counterpart here fails, and so does a counterpart without a fact.

#![forbid(unsafe_code)]

mod application;
mod constants;
mod facts;
mod functions;
mod native;
