"""Graph subscriptions: what each needs next (`plan`), who carries that out (`keeper`), and notifications let in.

A notification is a hint and nothing more: `notifications` reads it, `judging` says whether to believe it, `arrivals`
keeps it, and `receiver` has that done in time. Stands on `storage`; what it needs of Graph it says itself, in `graph`.
"""
