"""The fault harness: real processes and servers, a fault injected a stated number of times, and three ledgers."""
