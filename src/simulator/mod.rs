//! A simulator of the clouds that speaks the vendors' real wire protocols. Shares no code with `clouds`.
