from extensions import db


class Event(db.Model):
    __bind_key__ = "audit"
    id = db.Column(db.Integer, primary_key=True)


db.Table("event_links", db.Column("id", db.Integer), bind_key="audit")
