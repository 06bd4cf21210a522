//! The specification, statement by statement: `sNN_S_N_...` tests statement N of section S of document NN.

mod lab_client;
mod offloads;
