"""HyperDPO's front beside its rivals', trained as well as ours, under one command that anyone can rerun.

``python -m benchmarks.fronts --data mslr-sample`` runs, resumes where it stopped, and reports;
``python -m benchmarks.fronts report DIR`` makes the report again. From the command inwards: `cli` reads
options, `suite` goes through the runs, each in a process of its own (`processes`), `worker` fits and measures
one, `store` keeps it; then `results` reads what is kept, `resampling` tests it, and `report` and `plots` show
it. What is run stands in `sources` (the data), `methods` and `grid` (the trade-offs).
"""
