"""Many clips, one protocol: jobs and their keys, the ledger that keeps what came of them, and what it all says."""
