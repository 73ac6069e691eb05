//! The tables, once for both databases. Kept equal to the migrations by a test that reads every column.

#![allow(missing_docs)]

diesel::table! {
    meta (name) {
        name -> Text,
        value -> Text,
    }
}

diesel::table! {
    counters (name) {
        name -> Text,
        n -> BigInt,
    }
}

diesel::table! {
    editors (id) {
        id -> Text,
        email -> Text,
        email_key -> Text,
        name -> Text,
        name_key -> Text,
        role -> Text,
        disabled -> Bool,
        password_hash -> Text,
        auth_epoch -> BigInt,
        created_ms -> BigInt,
        updated_ms -> BigInt,
        version -> BigInt,
        totp -> Nullable<Text>,
        totp_on -> Bool,
        totp_step -> BigInt,
    }
}

diesel::table! {
    sessions (id) {
        id -> Text,
        editor_id -> Text,
        user_agent -> Text,
        address -> Text,
        created_ms -> BigInt,
        used_ms -> BigInt,
        idle_ms -> BigInt,
        expires_ms -> BigInt,
        revoked_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    refresh_tokens (hash) {
        hash -> Text,
        session_id -> Text,
        used_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    sections (id) {
        id -> Text,
        slug -> Text,
        name -> Text,
        name_key -> Text,
        description -> Nullable<Text>,
        parent_id -> Nullable<Text>,
        position -> BigInt,
        language -> Nullable<Text>,
        created_ms -> BigInt,
        updated_ms -> BigInt,
        version -> BigInt,
    }
}

diesel::table! {
    tags (id) {
        id -> Text,
        slug -> Text,
        name -> Text,
        name_key -> Text,
        created_ms -> BigInt,
        updated_ms -> BigInt,
        version -> BigInt,
    }
}

diesel::table! {
    images (id) {
        id -> Text,
        file_key -> Text,
        filename -> Text,
        alt -> Nullable<Text>,
        credit -> Nullable<Text>,
        caption -> Nullable<Text>,
        focal_x -> Nullable<Double>,
        focal_y -> Nullable<Double>,
        rights -> Text,
        search -> Text,
        uploaded_by -> Text,
        created_ms -> BigInt,
        updated_ms -> BigInt,
        version -> BigInt,
        deleted_ms -> Nullable<BigInt>,
        row_id -> Nullable<BigInt>,
        rights_expire_ms -> Nullable<BigInt>,
        rights_told -> BigInt,
    }
}

diesel::table! {
    image_files (file_key) {
        file_key -> Text,
        image_id -> Text,
        sha256 -> Text,
        source_sha256 -> Text,
        media_type -> Text,
        width -> BigInt,
        height -> BigInt,
        bytes -> BigInt,
        placeholder -> Nullable<Text>,
        camera -> Nullable<Text>,
        retired_ms -> Nullable<BigInt>,
        upload_of -> Nullable<Text>,
    }
}

diesel::table! {
    media_moves (target, object_key) {
        target -> Text,
        object_key -> Text,
        at_ms -> BigInt,
    }
}

diesel::table! {
    authors (id) {
        id -> Text,
        slug -> Text,
        name -> Text,
        name_key -> Text,
        role -> Nullable<Text>,
        bio -> Nullable<Text>,
        image_id -> Nullable<Text>,
        created_ms -> BigInt,
        updated_ms -> BigInt,
        version -> BigInt,
    }
}

diesel::table! {
    articles (id) {
        id -> Text,
        version -> BigInt,
        revision -> BigInt,
        content_hash -> Text,
        status -> Text,
        public_state -> Text,
        review -> Text,
        trashed_ms -> Nullable<BigInt>,
        slug -> Text,
        title -> Text,
        title_key -> Text,
        public_title_key -> Text,
        search -> Text,
        language -> Text,
        translation_group -> Text,
        section_id -> Nullable<Text>,
        owner_id -> Text,
        content -> Text,
        published_hash -> Nullable<Text>,
        first_published_ms -> Nullable<BigInt>,
        published_ms -> Nullable<BigInt>,
        created_by -> Text,
        created_ms -> BigInt,
        updated_by -> Text,
        updated_ms -> BigInt,
        publish_ms -> Nullable<BigInt>,
        unpublish_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    article_tags (article_id, tag_id) {
        article_id -> Text,
        tag_id -> Text,
    }
}

diesel::table! {
    article_authors (article_id, author_id) {
        article_id -> Text,
        author_id -> Text,
    }
}

diesel::table! {
    captions (id) {
        id -> Text,
        article_id -> Text,
        image_id -> Text,
        role -> Text,
        position -> BigInt,
        text -> Nullable<Text>,
        alt -> Nullable<Text>,
        credit -> Nullable<Text>,
        created_ms -> BigInt,
        updated_ms -> BigInt,
        version -> BigInt,
    }
}

diesel::table! {
    revisions (article_id, number) {
        article_id -> Text,
        number -> BigInt,
        snapshot -> Text,
        content_hash -> Text,
        editor_id -> Text,
        action -> Text,
        note -> Nullable<Text>,
        created_ms -> BigInt,
        kept -> Bool,
        restored_from -> Nullable<BigInt>,
    }
}

diesel::table! {
    slugs (slug) {
        slug -> Text,
        article_id -> Text,
        working -> Bool,
        public -> Text,
    }
}

diesel::table! {
    publications (article_id) {
        article_id -> Text,
        state -> Text,
        revision -> BigInt,
        content_hash -> Text,
        slug -> Text,
        language -> Text,
        translation_group -> Text,
        section_id -> Nullable<Text>,
        source_key -> Nullable<Text>,
        featured -> Bool,
        title_key -> Text,
        published_ms -> BigInt,
        first_published_ms -> BigInt,
        updated_ms -> BigInt,
        feedback_open -> Bool,
        card -> Text,
    }
}

diesel::table! {
    publication_docs (article_id) {
        article_id -> Text,
        doc -> Text,
    }
}

diesel::table! {
    publication_tags (ref_id, article_id) {
        ref_id -> Text,
        article_id -> Text,
        published_ms -> BigInt,
    }
}

diesel::table! {
    publication_authors (ref_id, article_id) {
        ref_id -> Text,
        article_id -> Text,
        published_ms -> BigInt,
    }
}

diesel::table! {
    publication_images (ref_id, article_id) {
        ref_id -> Text,
        article_id -> Text,
    }
}

diesel::table! {
    changes (seq) {
        seq -> BigInt,
        kind -> Text,
        subject_id -> Text,
        language -> Nullable<Text>,
        keys -> Text,
        at_ms -> BigInt,
    }
}

diesel::table! {
    site (id) {
        id -> BigInt,
        name -> Text,
        languages -> Text,
        time_zone -> Text,
        consent_version -> BigInt,
        version -> BigInt,
        updated_ms -> BigInt,
    }
}

diesel::table! {
    consent_texts (version) {
        version -> BigInt,
        texts -> Text,
        created_ms -> BigInt,
    }
}

diesel::table! {
    feedback (id) {
        id -> Text,
        reference -> Text,
        article_id -> Text,
        status -> Text,
        visible -> Bool,
        message -> Text,
        sender_name -> Text,
        sender_email -> Nullable<Text>,
        sender_phone -> Nullable<Text>,
        sender_address -> Nullable<Text>,
        email_key -> Nullable<Text>,
        search -> Text,
        consent_version -> BigInt,
        consent_ms -> BigInt,
        may_publish -> Bool,
        internal_note -> Nullable<Text>,
        reply -> Nullable<Text>,
        replied_ms -> Nullable<BigInt>,
        replied_by -> Nullable<Text>,
        created_ms -> BigInt,
        updated_ms -> BigInt,
        expire_ms -> BigInt,
        version -> BigInt,
    }
}

diesel::table! {
    idempotency (scope, idempotency_key) {
        scope -> Text,
        idempotency_key -> Text,
        request_hash -> Text,
        status -> BigInt,
        headers -> Text,
        body -> Text,
        created_ms -> BigInt,
    }
}

diesel::table! {
    audit (id) {
        id -> Text,
        at_ms -> BigInt,
        actor_type -> Text,
        actor_id -> Nullable<Text>,
        actor_name -> Text,
        action -> Text,
        target_type -> Text,
        target_id -> Text,
        request_id -> Text,
        data -> Text,
        address -> Text,
        chain_no -> Nullable<BigInt>,
        hash -> Nullable<Text>,
    }
}

diesel::table! {
    outbox (id) {
        id -> Text,
        kind -> Text,
        payload -> Text,
        dedupe -> Text,
        due_ms -> BigInt,
        attempts -> BigInt,
        lease_ms -> BigInt,
        fence -> BigInt,
        done_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    share_counts (email_hmac, day) {
        email_hmac -> Text,
        day -> BigInt,
        n -> BigInt,
    }
}

diesel::table! {
    share_optouts (email_hmac) {
        email_hmac -> Text,
    }
}

diesel::table! {
    search_docs (row_id) {
        row_id -> BigInt,
        article_id -> Text,
        title_exact -> Text,
        title_folded -> Text,
        lead_exact -> Text,
        lead_folded -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    meta,
    counters,
    editors,
    sessions,
    refresh_tokens,
    sections,
    tags,
    images,
    image_files,
    authors,
    articles,
    article_tags,
    article_authors,
    captions,
    revisions,
    slugs,
    publications,
    publication_docs,
    publication_tags,
    publication_authors,
    publication_images,
    changes,
    site,
    consent_texts,
    feedback,
    idempotency,
    audit,
    outbox,
    share_counts,
    share_optouts,
    search_docs,
);

diesel::table! {
    view_hours (article_id, hour) {
        article_id -> Text,
        hour -> BigInt,
        n -> BigInt,
    }
}

diesel::table! {
    view_totals (article_id) {
        article_id -> Text,
        h24 -> BigInt,
        d7 -> BigInt,
        d30 -> BigInt,
        total -> BigInt,
    }
}

diesel::table! {
    view_flushes (instance) {
        instance -> Text,
        flush_no -> BigInt,
        at_ms -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(publications, view_totals);

diesel::table! {
    corrections (id) {
        id -> Text,
        article_id -> Text,
        text -> Text,
        created_by -> Text,
        at_ms -> BigInt,
    }
}

diesel::table! {
    schedules (article_id, action) {
        article_id -> Text,
        action -> Text,
        at_ms -> BigInt,
        revision -> Nullable<BigInt>,
        slug -> Nullable<Text>,
        as_new -> Bool,
        editor_id -> Text,
        failed_ms -> Nullable<BigInt>,
        problem -> Nullable<Text>,
        asked_by -> Nullable<Text>,
    }
}

diesel::table! {
    holds (ref_id, holder) {
        ref_id -> Text,
        holder -> Text,
        article_id -> Text,
        until_ms -> BigInt,
    }
}

diesel::table! {
    edit_leases (article_id) {
        article_id -> Text,
        editor_id -> Text,
        since_ms -> BigInt,
        until_ms -> BigInt,
    }
}

diesel::table! {
    preview_links (id) {
        id -> Text,
        article_id -> Text,
        revision -> BigInt,
        token_hash -> Text,
        created_by -> Text,
        created_ms -> BigInt,
        expires_ms -> BigInt,
        revoked_ms -> Nullable<BigInt>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(preview_links, revisions);
diesel::allow_tables_to_appear_in_same_query!(editors, edit_leases);
diesel::allow_tables_to_appear_in_same_query!(articles, schedules);
diesel::allow_tables_to_appear_in_same_query!(articles, holds);
diesel::allow_tables_to_appear_in_same_query!(images, holds);

diesel::table! {
    api_keys (id) {
        id -> Text,
        hash -> Text,
        hint -> Text,
        editor_id -> Text,
        name -> Text,
        scopes -> Text,
        expires_ms -> Nullable<BigInt>,
        used_ms -> Nullable<BigInt>,
        created_ms -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(api_keys, editors);

diesel::table! {
    audit_anchors (chain_no) {
        chain_no -> BigInt,
        hash -> Text,
    }
}

diesel::table! {
    one_time_tokens (hash) {
        hash -> Text,
        kind -> Text,
        editor_id -> Text,
        email_key -> Text,
        auth_epoch -> BigInt,
        expires_ms -> BigInt,
        used_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    recovery_codes (hash) {
        hash -> Text,
        editor_id -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(one_time_tokens, editors);

diesel::table! {
    webhooks (id) {
        id -> Text,
        name -> Nullable<Text>,
        url -> Text,
        events -> Text,
        languages -> Text,
        section_ids -> Text,
        disabled -> Bool,
        disabled_reason -> Nullable<Text>,
        failing_ms -> Nullable<BigInt>,
        from_seq -> BigInt,
        replay_seq -> Nullable<BigInt>,
        replay_until -> Nullable<BigInt>,
        created_ms -> BigInt,
        updated_ms -> BigInt,
        version -> BigInt,
    }
}

diesel::table! {
    webhook_secrets (id) {
        id -> Text,
        webhook_id -> Text,
        secret -> Text,
        expires_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    webhook_deliveries (id) {
        id -> Text,
        webhook_id -> Text,
        event_id -> Text,
        kind -> Text,
        payload -> Text,
        state -> Text,
        tries -> BigInt,
        attempts -> BigInt,
        due_ms -> BigInt,
        lease_ms -> BigInt,
        fence -> BigInt,
        created_ms -> BigInt,
        ended_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    webhook_attempts (delivery_id, n) {
        delivery_id -> Text,
        n -> BigInt,
        at_ms -> BigInt,
        duration_ms -> BigInt,
        status -> Nullable<BigInt>,
        error -> Nullable<Text>,
        detail -> Nullable<Text>,
        response -> Nullable<Text>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(webhooks, webhook_deliveries);

diesel::table! {
    image_plans (file_key) {
        file_key -> Text,
        animated -> Bool,
        has_alpha -> Bool,
        broken -> Bool,
        avif -> Bool,
        avif_point -> Nullable<Text>,
        changed_ms -> BigInt,
        due_ms -> Nullable<BigInt>,
        tries -> BigInt,
        lease_ms -> BigInt,
        fence -> BigInt,
    }
}

diesel::table! {
    image_variants (file_key, spec) {
        file_key -> Text,
        spec -> Text,
        object_key -> Text,
        bytes -> BigInt,
        state -> Text,
        used_ms -> BigInt,
    }
}

diesel::table! {
    image_focal_points (image_id, point) {
        image_id -> Text,
        point -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(images, image_plans);
diesel::allow_tables_to_appear_in_same_query!(images, image_variants);
diesel::allow_tables_to_appear_in_same_query!(image_files, image_plans);
diesel::allow_tables_to_appear_in_same_query!(image_files, image_variants);
