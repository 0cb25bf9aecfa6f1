package main

// Why the gateway is later than the best rival, by the kind of change, if it is so with the smallest gates too.
const (
	whySmallMean = "0.1 s.d. is the default gate itself, so a change of this size raises no alarm by default. For any change, the gateway adds up " +
		"at most 8 windows, 4,000 rows, and tests 44 things about a feature; ADWIN tests the mean alone and keeps all rows since the last change."
	whyMean = "The rivals that are sooner test the mean alone, after each row or each 32 rows. The gateway tests 44 things about a feature, at the " +
		"ends of windows of 500 rows."
	whyWindow = "The gateway says it at the end of the window, and most of the first window is from before the change; CUSUM and ADWIN look after " +
		"each row or each 32 rows. A window ends early only for gross breaks."
	whySpread = "The gate allows 10 % more spread. For any change, the G-test of 32 bins has more degrees of freedom than the 16 bins of " +
		"chi-square, and it shares the promise with 43 other tests."
	whySpike = "The default gates allow a part of it: a share that grows by half, and by 0.2 points, and a divergence of 0.02."
	whyCode  = "New values are tested in each window alone, 10 of 500 rows, against what the gate allows. Chi-square adds the window's other bins, and " +
		"has no other statistics to share the rate with."
	whyLabel = "At most 8 windows of 500 rows are added up, where 80 ones stand against the 60 that the default gate allows, or the 40 of the " +
		"reference. With larger windows, it is found after 20,000 to 80,000 rows by default. Page-Hinkley keeps a sum over all rows."
	whySlow = "The default gates allow the first 2,000 rows of it, in which the mean moves by 0.1 s.d. For any change, the gateway waits for the end " +
		"of a window."
	whyFive = "ADWIN looks at each of the five features every 32 rows, and the first of them counts. The gateway has a limit that holds for ten " +
		"features and 44 tests of each, and looks at the ends of windows."
)
