//! Through the doors, as a browser without a script sees it.
