package cli

// CheckThrowAway refuses an environment that leads anywhere but to this machine.
var CheckThrowAway = checkThrowAway
