package main

// Why the gateway is later than the best rival. The first kind is with the default gates alone, if it is level with the smallest ones.
const (
	whySmallMean = "0.1 s.d. is the default gate itself, so a change of this size raises no alarm by default. With the smallest gates the " +
		"gateway is ahead."
	whySpread = "The default gate allows 10 % of the 30 %. With the smallest gates the gateway is level."
	whySpike  = "The default gates allow a share that grows by half and by 0.2 points, and a divergence of 0.02. With the smallest gates the " +
		"gateway is level."
	whySlow = "The default gate allows 0.1 s.d., which the mean reaches after 2,000 rows. With the smallest gates the gateway is level."
)

// The second kind is with the smallest gates too.
const (
	whyMean = "The soonest rivals test the mean alone, after each row or each 32 rows. The gateway looks for nine kinds of change of a " +
		"feature, at the ends of windows of 500 rows."
	whyLargeMean = "The gateway says it at the end of the window in which the change began. The soonest rivals test the mean after each row " +
		"or each 32 rows. A window ends early only for gross breaks."
	whyCode = "Chi-square alarms at the first rows with a value that the reference lacks, since it expects none. The gateway allows for values " +
		"that the reference lacks by chance. The default gate also allows 0.5 % of the rows, and is tested in each window of 500 rows alone."
	whyLabel = "The gateway adds up at most 8 windows: 4,000 rows, of which 80 have the label. In the reference it would be 40, and the default gate allows 60." +
		" Windows of 10,000 rows find it with the default gates too, after 20,000 to 80,000 rows. Page-Hinkley keeps a sum over all rows."
	whyFive = "ADWIN tests each of the five means every 32 rows, and the first that it finds counts. The gateway looks for nine kinds of change " +
		"of ten features, at the ends of windows of 500 rows."
)
