//! Response bodies that hold on to something until they are sent.

pub(super) mod chunked;
pub(super) mod drainable;
pub(super) mod guarded;
