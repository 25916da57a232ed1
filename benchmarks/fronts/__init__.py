"""Comparison of Pareto fronts: HyperDPO and its baselines, under one reproducible command.

``python -m benchmarks.fronts suite`` runs all `settings`, resumes where it stopped, and writes one table
(`summary`); ``--data mslr-sample`` takes one of them and tests by query (`report`). From the command inwards:
`cli` reads options, `suite` goes through the runs, each in a process of its own (`processes`), `worker` fits
and measures one, `store` writes it; then `results` reads the runs, `resampling` tests them, and `report`,
`summary` and `plots` show them. What is run is defined in `sources` and `settings` (the data), `methods`
(`baselines` are those of other libraries) and `grid` (the trade-offs).
"""
