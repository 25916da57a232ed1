"""Comparison of Pareto fronts: HyperDPO and tuned baselines, under one reproducible command.

``python -m benchmarks.fronts --data mslr-sample`` runs, resumes where it stopped, and reports;
``python -m benchmarks.fronts report DIR`` makes the report again. From the command inwards: `cli` reads
options, `suite` goes through the runs, each in a process of its own (`processes`), `worker` fits and measures
one, `store` writes it; then `results` reads the runs, `resampling` tests them, and `report` and `plots` show
them. What is run is defined in `sources` (the data), `methods` and `grid` (the trade-offs).
"""
