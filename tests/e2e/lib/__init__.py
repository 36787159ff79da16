"""Helpers of the system tests: servers under test, real mail servers, and clients."""
