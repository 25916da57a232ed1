def write_summary(a, b): return ""
