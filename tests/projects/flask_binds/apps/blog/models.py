from extensions import db
from flask import current_app  # noqa: F401  (a proxy that must not be touched)


class Post(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    tags = db.relationship("Tag", secondary="post_tags")


class Tag(db.Model):
    id = db.Column(db.Integer, primary_key=True)


post_tags = db.Table(
    "post_tags",
    db.Column("post_id", db.ForeignKey("post.id"), primary_key=True),
    db.Column("tag_id", db.ForeignKey("tag.id"), primary_key=True),
)
