-- Somebody is asked to work for a business; they become a member by accepting. One row for each pair: asked again, it begins anew.
CREATE TABLE invitations (
    id TEXT COLLATE "C" PRIMARY KEY,
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    role TEXT NOT NULL CHECK (role IN ('owner', 'staff')),
    state TEXT NOT NULL CHECK (state IN ('pending', 'accepted', 'declined')),
    invited_by TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    UNIQUE (business_id, user_id)
);
CREATE INDEX invitations_by_user ON invitations (user_id, id);
CREATE INDEX invitations_by_business ON invitations (business_id, id);
CREATE INDEX invitations_by_expiry ON invitations (expires_at);
