package options

func doctorVerb() Verb {
	return Verb{
		Name:     "doctor",
		Synopsis: "look for the cause of a trouble: configuration, K2HR3, slave.ini, chmpx",
		Long: "Looks for the cause of a trouble, from the agent's configuration over K2HR3 and slave.ini to chmpx and its applications, a line for each check: " +
			"ok, failed, warning or skipped, its id, and what was found; below a failure or warning, what was looked at and what to do. " +
			"Only the first cause of a trouble is shown as failed; what follows from it is skipped (needs ID). It takes 10 s at most, sends K2HR3 four requests " +
			"at most, and changes nothing, but for --write-test. Without root it shows less, and says what it cannot see.",
		Exits: []Exit{{0, "nothing has failed"}, {1, "a check has failed"}},
		Switches: []Switch{
			{"json", "print one JSON object"},
			{"write-test", "besides, set, read and delete one key of its own in the cluster, by k2hdkclinetool"},
		},
		Flags:    doctorOptions(),
		Sections: everySection(),
	}
}

// doctorOptions are the flags of the verb doctor alone.
func doctorOptions() []Option {
	return inSection("", []Option{{
		Key: "only", Kind: KindText, Placeholder: "ID,...", DefaultNote: "all",
		Help: "the checks to make, besides those that they need",
		Long: "The ids of the checks to make, as doctor prints them, separated by commas. Those that they need are made too.",
		set:  text(func(o *Options) *string { return &o.Only }),
	}})
}
