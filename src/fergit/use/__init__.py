"""The trained network at work: faces in photographs and videos, the app, the shipped files, the website.

No other folder imports this one.
"""
