"""Writes noncentral.json: x, degrees of freedom, noncentrality, and the logarithm of
the upper tail of the noncentral chi-square law.

    pip install mpmath
    python internal/drift/testdata/noncentral.py > internal/drift/testdata/noncentral.json

The law is a Poisson mixture of central ones. The mixture is summed at 600 digits over
14 standard deviations to either side of its largest term.
"""

import json

import mpmath as mp

mp.mp.dps = 600


def upper(a, y):
    """The regularized upper incomplete gamma function, by the series of the lower one."""
    term = total = mp.mpf(1)
    k = 1
    while term > total * mp.mpf(10) ** -590:
        term *= y / (a + k)
        total += term
        k += 1
    return 1 - mp.e ** (a * mp.log(y) - y - mp.loggamma(a + 1)) * total


def log_tail(x, df, noncentrality):
    x, df, noncentrality = mp.mpf(x), mp.mpf(df), mp.mpf(noncentrality)
    if noncentrality == 0:
        return mp.log(upper(df / 2, x / 2))
    mean, y = noncentrality / 2, x / 2
    peak = int(max(mean, (mp.sqrt(df * df / 4 + noncentrality * x) - df / 2) / 2))
    reach = int(14 * mp.sqrt(peak + 1)) + 40
    first, last = max(0, min(int(mean), peak) - reach), peak + reach
    a = df / 2 + first
    tail, step = upper(a, y), mp.e ** (a * mp.log(y) - y - mp.loggamma(a + 1))
    weight = mp.e ** (first * mp.log(mean) - mean - mp.loggamma(first + 1))
    total = mp.mpf(0)
    for j in range(first, last + 1):
        total += weight * tail
        tail += step
        a += 1
        step *= y / a
        weight *= mean / (j + 1)
    return mp.log(total)


rows = []
for df in (1, 2, 5, 31):
    for noncentrality in (0, 0.5, 16.7, 100, 1900, 2100, 20000):
        mean, sd = df + noncentrality, (2 * (df + 2 * noncentrality)) ** 0.5
        for z in (-3, -1, 0.001, 1, 3, 6, 12, 30):
            x = round(mean + z * sd, 4)
            if x > 0:
                rows.append([x, df, noncentrality, float(mp.nstr(log_tail(x, df, noncentrality), 17))])
print("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]")
