"""Development and Reform Commission (发展和改革委员会), which runs the credit office: takes all of credit."""
