package options

// doctorOptions are the flags of the verb doctor alone.
func doctorOptions() []Option {
	return inSection("", []Option{{
		Key: "only", Kind: KindText, Placeholder: "ID,...", DefaultNote: "all",
		Help: "the checks to make, besides those that they need",
		Long: "The ids of the checks to make, as doctor prints them, separated by commas. Those that they need are made too.",
		set:  text(func(o *Options) *string { return &o.Only }),
	}})
}
