"""What a person on call looks at: metrics, health, logs. Only what is used is loaded."""
