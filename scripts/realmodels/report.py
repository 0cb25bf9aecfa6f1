def print_lines(findings):
    for f in findings:
        print(f.model.name, f.model.package, f.size, f.right, f.wrong, f.first_wrong, f.batched, f.reason, '|', f.unbatchable or 'MAY', f.rows, f.runs)
def write(*a): pass
