//! What the product does, row by row, and the tests that show each.
//!
//! ```console
//! $ cargo test -p posthaste --test it -- features --nocapture
//! ```
//!
//! A row without a test fails, unless [`OPEN`] admits it; so does a test that does not exist. A test is named by
//! its function, with a folder or file in front of it (`repair::...`) where several have that name.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// One thing that the product does.
struct Row {
    name: &'static str,
    what: &'static str,
    tests: &'static [&'static str],
}

/// What nobody shows yet, by row. To be emptied.
const OPEN: &[(&str, &str)] = &[];

const ROWS: &[Row] = &[
    Row {
        name: "A1",
        what: "publish over TCP with any Redis client; the id comes after the sync; pipelines keep their order",
        tests: &[
            "nobody_is_answered_and_no_shard_hears_of_a_message_before_its_sync",
            "a_pipeline_of_thousands_is_answered_in_its_order_with_growing_ids",
            "redis_cli_publishes_reads_outcomes_and_asks_around",
            "redis_py_publishes_and_follows_outcomes_in_both_versions_of_the_protocol",
            "the_example_in_javascript_publishes_and_follows",
            "nothing_acknowledged_is_lost_over_many_kills_and_repeats_are_bounded",
        ],
    },
    Row {
        name: "A2",
        what: "publish over HTTP, one message or a batch",
        tests: &[
            "a_message_published_over_http_arrives_like_one_published_over_tcp",
            "in_a_batch_a_message_that_is_refused_does_not_stand_in_the_way_of_the_others",
            "the_svix_sdk_of_javascript_manages_as_the_example_shows",
        ],
    },
    Row {
        name: "A3",
        what: "an event id stands for its first message; another message under it is a conflict",
        tests: &[
            "an_event_id_stands_for_its_first_message_even_after_a_restart_and_a_kill",
            "an_event_id_of_another_message_is_a_conflict",
            "an_event_id_has_one_message_within_a_block_and_across_blocks_and_restarts",
        ],
    },
    Row {
        name: "A4",
        what: "a message may bring its URL and secret along; authorization stays its endpoint's",
        tests: &[
            "a_message_goes_to_the_url_it_brings_along_with_the_authorization_of_its_endpoint",
            "a_secret_that_comes_with_the_url_signs_instead_of_the_endpoints",
            "the_token_of_a_config_is_in_every_request_and_stays_when_a_message_brings_its_own_url",
            "an_outgoing_message_has_its_own_status_url_and_secret",
        ],
    },
    Row {
        name: "A5",
        what: "messages for later, and taking them back before they are sent",
        tests: &[
            "a_delayed_message_is_not_sent_before_its_time",
            "a_message_scheduled_for_tomorrow_says_so_survives_a_kill_and_can_be_taken_back",
            "a_message_that_is_taken_back_is_not_tried_again",
        ],
    },
    Row {
        name: "A6",
        what: "outcomes are told over TCP, with the receiver's response where it is asked for",
        tests: &[
            "read_from_the_beginning_they_tell_every_attempt_in_order",
            "a_reader_resumes_after_its_last_id_across_restarts_without_a_gap",
            "what_a_receiver_answered_is_told_to_those_who_asked_for_it",
            "a_platform_in_python_acts_on_what_its_customer_answers",
            "an_answer_that_is_not_the_json_it_claims_to_be_is_told_as_such",
        ],
    },
    Row {
        name: "A7",
        what: "messages of one ordering key reach an endpoint in their order",
        tests: &[
            "messages_of_one_key_arrive_in_order_though_the_first_has_to_be_tried_again_and_the_process_dies",
            "those_behind_wait_through_all_retries_of_the_one_before_and_no_other_key_does",
        ],
    },
    Row {
        name: "B1",
        what: "to every endpoint that wants the event type: by name, by prefix, or all",
        tests: &[
            "endpoints_get_all_events_or_those_that_were_chosen_while_they_are_active",
            "a_prefix_wants_what_lies_behind_its_dot_and_not_its_own_name",
            "routing_agrees_with_asking_every_endpoint",
        ],
    },
    Row {
        name: "B2",
        what: "channels: one URL per event type of a messaging config, and nothing without one",
        tests: &[
            "each_event_type_of_a_config_goes_to_its_own_url_and_nowhere_without_one",
            "a_message_that_nobody_has_a_url_for_is_stored_and_sent_to_nobody",
        ],
    },
    Row {
        name: "B3",
        what: "endpoints of the whole company beside them",
        tests: &[
            "company_wide_subscriptions_stand_beside_the_configs",
            "a_messaging_config_has_one_url_per_event_type_beside_endpoints_of_the_whole_company",
        ],
    },
    Row {
        name: "B4",
        what: "a catalogue of event types with descriptions, schemas, examples; archived ones",
        tests: &[
            "an_event_type_is_archived_hidden_and_taken_back_into_use",
            "schemas_are_checked_when_they_are_saved",
            "a_payload_that_does_not_fit_its_schema_is_refused_over_tcp_with_its_place",
            "the_authors_own_example_is_taken_wherever_it_stands",
            "an_endpoint_keeps_an_event_type_that_is_archived_and_hears_of_it_when_it_is_back",
        ],
    },
    Row {
        name: "B5",
        what: "filters on the payload",
        tests: &[
            "a_filter_keeps_back_what_it_is_not_true_for_also_after_a_restart",
            "a_filter_can_be_tried_before_it_is_saved",
            "filters_that_take_too_many_steps_together_fail_from_then_on",
        ],
    },
    Row {
        name: "B6",
        what: "chains of endpoints, in which the response decides whether the next one is asked",
        tests: &[
            "a_message_goes_on_until_somebody_answers_with_messages",
            "return_value_says_whether_the_next_service_is_asked_whatever_else_is_in_the_answer",
            "a_chain_goes_on_after_a_kill",
        ],
    },
    Row {
        name: "B7",
        what: "applications that know nothing of one another",
        tests: &[
            "what_one_application_publishes_reaches_none_of_another",
            "an_endpoint_of_one_application_is_not_found_through_another",
        ],
    },
    Row {
        name: "C1",
        what: "JSON, byte for byte as it was published",
        tests: &[
            "a_message_arrives_byte_for_byte_with_its_headers_and_a_valid_signature",
            "a_message_keeps_every_byte_of_its_payload",
        ],
    },
    Row {
        name: "C2",
        what: "forms with nested brackets; numbers as text, booleans as 1 and 0",
        tests: &[
            "a_form_has_nested_brackets_the_secret_at_its_end_and_a_signature_over_its_own_bytes",
            "a_service_sees_a_form_with_the_secret_and_one_id_however_often_it_is_tried",
        ],
    },
    Row {
        name: "C3",
        what: "bearer or basic authorization, and headers of one's own",
        tests: &[
            "authorization_takes_the_form_that_receivers_expect",
            "a_signed_request_arrives_whole",
            "the_token_of_a_config_is_in_every_request_and_stays_when_a_message_brings_its_own_url",
            "headers_that_frame_a_request_or_speak_for_this_server_are_refused_by_name",
        ],
    },
    Row {
        name: "C4",
        what: "signatures of Standard Webhooks, with a shared secret or a key pair; names of headers as Svix has them",
        tests: &[
            "the_vector_of_the_specification_comes_out",
            "the_reference_library_signs_the_same",
            "the_standard_webhooks_package_of_python_verifies_every_request_before_during_and_after_a_rotation",
            "the_receiver_in_javascript_takes_what_is_signed_and_refuses_the_rest",
            "an_endpoint_moves_from_a_shared_secret_to_a_key_pair_without_a_request_it_could_not_check",
            "a_receiver_written_for_svix_finds_its_headers",
        ],
    },
    Row {
        name: "C5",
        what: "a secret that is replaced signs beside the new one for a while",
        tests: &[
            "a_rotated_secret_signs_beside_the_new_one_until_its_grace_time_is_over",
            "a_forged_request_is_told_from_a_real_one_before_and_after_a_rotation_of_the_secret",
        ],
    },
    Row {
        name: "C6",
        what: "a secret as a parameter of the form",
        tests: &[
            "a_form_has_nested_brackets_the_secret_at_its_end_and_a_signature_over_its_own_bytes",
            "a_url_that_a_message_brings_along_gets_its_own_secret_in_the_form",
        ],
    },
    Row {
        name: "C7",
        what: "certificates always verified; client certificates and authorities of one's own",
        tests: &[
            "a_certificate_that_cannot_be_believed_is_refused_in_words",
            "a_receiver_with_its_own_authority_that_insists_on_a_certificate_is_delivered_to_even_after_a_restart",
            "a_connection_is_never_used_under_another_identity",
            "what_an_authority_of_its_own_has_signed_is_verified_like_everything_else",
            "every_attempt_at_a_hostile_receiver_ends_as_its_fault_says_while_others_get_everything",
        ],
    },
    Row {
        name: "C8",
        what: "HTTPS and ports that an application requires; plain HTTP is warned about; nothing inside is reached",
        tests: &[
            "no_door_leads_to_a_forbidden_destination_however_it_is_spelled",
            "the_policy_agrees_with_the_registries_on_addresses_of_every_kind",
            "an_application_that_requires_https_or_some_ports_has_no_other_urls",
            "plain_http_is_warned_about_where_it_is_allowed",
            "ports_of_other_services_are_refused",
        ],
    },
    Row {
        name: "C9",
        what: "HTTP/2 where it is offered, HTTP/1.1 otherwise",
        tests: &[
            "http2_is_spoken_where_it_is_offered_and_one_connection_is_shared",
            "http2_is_not_offered_where_it_is_switched_off",
        ],
    },
    Row {
        name: "C10",
        what: "a proxy for what leaves, and the addresses that it comes from",
        tests: &[
            "requests_leave_through_the_configured_proxy",
            "a_proxy_that_is_gone_locks_nobody_out",
            "where_requests_come_from_is_said_to_whoever_may_use_the_api",
            "the_proxy_is_told_the_address_that_was_judged_and_tls_checks_the_name",
            "cve_2026_44492_variables_of_the_environment_lead_no_request_through_or_past_a_proxy",
        ],
    },
    Row {
        name: "D1",
        what: "success is a 2xx within five seconds, or what the endpoint says it is",
        tests: &[
            "delivered_means_a_2xx_within_five_seconds",
            "an_endpoint_may_insist_on_200",
            "an_endpoint_may_have_its_own_time",
        ],
    },
    Row {
        name: "D2",
        what: "redirects are failures that name their target, and never followed",
        tests: &["a_redirect_is_a_failure_and_is_not_followed", "response::a_redirect_names_its_target"],
    },
    Row {
        name: "D3",
        what: "retries at growing intervals for more than a day; policies by name or of one's own",
        tests: &[
            "a_failing_delivery_is_attempted_over_more_than_27_hours_and_then_exhausted",
            "retries_come_at_growing_intervals_that_span_more_than_a_day",
            "attempts_are_made_at_the_times_of_the_policy_and_then_the_delivery_is_exhausted",
            "operators_name_their_own_policies",
        ],
    },
    Row {
        name: "D4",
        what: "Retry-After is honoured and uses up no attempt; 410 disables the endpoint",
        tests: &[
            "a_retry_after_is_waited_for_and_uses_up_no_attempt",
            "a_receiver_that_is_gone_is_disabled_and_gets_nothing_more",
        ],
    },
    Row {
        name: "D5",
        what: "a URL that keeps failing is locked out; what is due meanwhile fails unsent; one probe at the end",
        tests: &[
            "during_a_lockout_the_receiver_sees_nothing_but_one_probe_when_each_wait_is_over",
            "attempts_refused_by_a_lockout_are_in_the_history_as_failed_and_use_up_the_policy",
            "a_url_that_keeps_failing_is_blocked_and_what_is_due_meanwhile_counts_as_failed_unsent",
        ],
    },
    Row {
        name: "D6",
        what: "a host that cannot be reached is locked out, by one atomic number",
        tests: &[
            "connections_that_fail_lock_out_all_urls_of_the_host",
            "of_many_threads_exactly_one_gets_the_probe",
            "no_result_is_lost_between_threads",
        ],
    },
    Row {
        name: "D7",
        what: "rates that delay and use up nothing; attempts at a time, per endpoint and host",
        tests: &[
            "an_endpoint_that_wants_one_message_a_second_gets_no_more_and_the_others_do_not_wait_for_it",
            "waiting_for_its_pace_uses_up_no_attempt",
            "a_window_follows_a_lower_limit_at_once",
            "endpoints_of_a_host_share_its_cap_evenly",
        ],
    },
    Row {
        name: "D8",
        what: "endpoints disabled by hand or after days of failing; what they missed can be sent",
        tests: &[
            "an_endpoint_that_fails_for_five_days_is_disabled_over_a_restart_and_that_is_told",
            "what_an_endpoint_missed_while_it_was_disabled_is_replayed_once",
            "endpoints_get_all_events_or_those_that_were_chosen_while_they_are_active",
        ],
    },
    Row {
        name: "D9",
        what: "after its last attempt a delivery is exhausted: kept, listed, sent again if wanted",
        tests: &[
            "failed_delivered_and_reprocessed_webhooks_can_all_be_looked_up_afterwards",
            "failures_are_retried_marked_as_failed_explained_and_sent_again_by_hand",
            "deliveries_are_found_by_where_they_stand_also_after_a_kill",
        ],
    },
    Row {
        name: "E1",
        what: "every message, delivery and attempt, with both sides of the exchange and its times",
        tests: &[
            "a_message_its_deliveries_and_its_attempts_can_be_looked_up_even_after_a_kill",
            "an_attempt_shows_its_timing_its_request_and_what_went_wrong",
            "the_headers_of_a_request_are_shown_with_the_signature_the_receiver_got_and_without_what_opens_doors",
        ],
    },
    Row {
        name: "E2",
        what: "asked for by state, endpoint, event type, channel, status and time, in pages",
        tests: &[
            "failed_delivered_and_reprocessed_webhooks_can_all_be_looked_up_afterwards",
            "deliveries_are_asked_for_by_everything_the_query_names",
            "attempts_are_filtered_by_everything_the_query_names",
            "messages_are_listed_newest_first_page_by_page",
        ],
    },
    Row {
        name: "E3",
        what: "kept for a time and up to a size; exported as lines of JSON; erased on request",
        tests: &[
            "segments_go_when_nobody_needs_them",
            "a_message_pending_for_long_is_carried_forward_and_found_in_its_new_place",
            "an_application_can_be_exported_as_json_lines",
            "a_payload_that_is_erased_is_gone_from_every_door_and_from_the_disk",
        ],
    },
    Row {
        name: "E4",
        what: "who changed what, and when",
        tests: &[
            "every_change_is_recorded_with_its_author_and_survives_a_kill",
            "a_missing_entry_or_one_that_was_altered_shows",
            "secrets_and_credentials_never_reach_the_audit_log",
            "an_export_is_verified_by_its_lines_alone_and_a_line_that_was_altered_or_taken_out_shows",
            "whoever_floods_pushes_out_their_own_entries_and_nobody_elses",
            "who_guesses_a_password_is_in_the_audit_log_with_a_count_once_the_server_stops_or_a_minute_is_over",
        ],
    },
    Row {
        name: "F1",
        what: "a test event of a chosen type, and its result at once",
        tests: &[
            "a_test_event_of_each_type_shows_its_result",
            "a_test_is_signed_like_a_delivery_and_leaves_no_trace",
            "an_example_message_goes_to_one_endpoint_as_an_ordinary_delivery",
        ],
    },
    Row {
        name: "F2",
        what: "a URL is tested before it is saved",
        tests: &[
            "a_url_is_tested_before_it_is_saved_and_what_it_answers_is_seen_at_once",
            "a_receiver_is_made_tested_saved_and_goes_live",
            "what_a_receiver_in_the_own_network_answers_is_not_shown_by_default",
        ],
    },
    Row {
        name: "F3",
        what: "receivers that misbehave as the path of the URL says",
        tests: &[
            "each_path_is_answered_as_it_says",
            "a_delayed_answer_comes_after_its_time_and_holds_up_those_behind_it",
            "a_hanging_request_is_never_answered_and_ends_with_its_client",
            "a_dropped_request_gets_no_byte_but_those_before_it_get_their_answers",
            "the_same_requests_in_the_same_order_meet_the_same_fate",
            "the_operations_document_names_every_behaviour_of_the_test_receiver",
            "each_fault_is_at_a_port_of_its_own",
            "the_operations_document_names_every_fault",
            "every_attempt_at_a_hostile_receiver_ends_as_its_fault_says_while_others_get_everything",
        ],
    },
    Row {
        name: "F4",
        what: "send one again, recover all that failed, replay; with progress",
        tests: &[
            "a_message_can_be_sent_again_after_it_arrived_and_after_it_was_exhausted",
            "recovering_delivers_what_was_exhausted_and_nothing_else",
            "a_task_goes_on_after_a_kill_and_stops_when_it_is_told_to",
        ],
    },
    Row {
        name: "F5",
        what: "what fails and why, in words, with what helps",
        tests: &[
            "every_failure_is_explained_and_no_success",
            "the_usual_causes_of_failure_are_told_apart",
            "whatever_is_wrong_with_a_receiver_is_said_in_words",
        ],
    },
    Row {
        name: "G1",
        what: "how an endpoint does: success rate, response times, lockout",
        tests: &["statistics_count_deliveries_and_say_how_the_endpoint_did_lately"],
    },
    Row {
        name: "G2",
        what: "alerts: failing, exhausted, locked out, disabled, recovered; as messages, by mail, in the API",
        tests: &[
            "an_endpoint_that_keeps_failing_is_told_to_the_operators_endpoint_and_so_is_its_recovery",
            "a_low_success_rate_is_told_once_and_is_over_after_a_better_window",
            "an_exhausted_delivery_is_told_with_its_message",
            "a_lockout_and_its_end_are_told",
            "alerts_come_by_mail",
            "alerts_are_listed_newest_first_for_the_operator_and_for_an_application",
        ],
    },
    Row {
        name: "G3",
        what: "metrics for Prometheus; traces for OpenTelemetry; is it there, is it ready",
        tests: &[
            "every_metric_is_in_the_operations_document",
            "whether_the_server_is_there_can_be_asked_without_a_token",
            "whether_messages_are_accepted_can_be_asked_without_a_token",
            "below_the_reserve_publishers_are_refused_and_deliveries_are_made_and_recorded",
            "each_message_is_one_trace_from_its_acceptance_to_its_last_attempt",
            "attempts_that_failed_and_those_after_a_restart_are_in_the_trace_of_their_message",
            "receivers_are_told_of_the_trace_where_that_is_wanted",
            "a_collector_that_is_away_harms_nobody_and_what_it_misses_is_counted",
        ],
    },
    Row {
        name: "H1",
        what: "pages: the endpoints, active or not, how they do; made, changed, paused, removed",
        tests: &[
            "an_endpoint_is_added_tried_watched_changed_and_removed_in_a_browser",
            "an_endpoint_is_added_changed_paused_and_removed",
            "without_javascript_everything_can_be_read_and_done",
            "axe_finds_nothing_that_keeps_anybody_from_using_a_page",
        ],
    },
    Row {
        name: "H2",
        what: "pages: what happened, filtered; payload, attempts, answers; sent again from the row",
        tests: &["what_failed_is_found_understood_and_put_right_in_a_browser"],
    },
    Row {
        name: "H3",
        what: "pages: subscriptions, security, retry policy; the secret revealed, copied, rotated",
        tests: &[
            "an_endpoint_is_added_tried_watched_changed_and_removed_in_a_browser",
            "what_is_wrong_stands_beside_its_field_and_what_was_typed_stays",
        ],
    },
    Row {
        name: "H4",
        what: "pages: test events and their result; health with charts; live throughput",
        tests: &[
            "pages_change_as_things_happen_and_an_endpoint_is_seen_locked_out_and_recovering",
            "a_live_page_tells_its_parts_when_they_change_and_ends_with_its_session",
            "how_an_endpoint_did_over_time_is_told_where_it_is_asked_for",
        ],
    },
    Row {
        name: "H5",
        what: "pages: a link for the people of one application, who see theirs and nothing else",
        tests: &[
            "the_link_of_an_application_shows_nothing_of_another_by_guessing_either",
            "a_link_opens_its_application_and_a_wrong_one_says_so",
            "a_link_for_reading_shows_nothing_that_changes_and_changes_nothing",
            "the_portal_is_shown_in_a_frame_of_configured_origins_alone",
        ],
    },
    Row {
        name: "I4",
        what: "who may come in, and how far: TLS on every listener, passwords and tokens, limits for strangers; secrets are \
               encrypted on the disk",
        tests: &[
            "redis_cli_publishes_over_tls_and_not_without_knowing_the_authority",
            "redis_py_publishes_and_follows_outcomes_over_tls",
            "the_client_for_rust_publishes_and_follows_over_what_its_owner_dials",
            "the_svix_sdk_for_python_works_over_https",
            "the_svix_sdk_for_javascript_works_over_https",
            "curl_speaks_to_the_api_over_https_from_tls_1_2_on_and_gets_http_1_1",
            "who_shows_no_certificate_is_not_let_in_where_one_is_insisted_on",
            "a_renewed_certificate_is_used_without_a_restart_and_open_connections_go_on",
            "a_public_address_in_the_clear_needs_a_word_of_its_own_beside_the_password",
            "a_stranger_is_told_four_kibibytes_and_no_more",
            "a_stranger_who_drips_bytes_is_closed_and_one_who_knows_the_password_stays",
            "who_keeps_guessing_is_turned_away_for_a_while_and_others_are_not",
            "one_address_cannot_take_all_places_and_a_place_that_is_left_is_free",
            "a_client_that_never_reads_is_closed_and_publishers_do_not_feel_it",
            "a_request_that_does_not_become_whole_is_not_waited_for",
            "requests_to_the_api_that_drip_or_do_not_come_are_closed",
            "more_than_may_arrive_over_http_at_once_is_told_to_come_back",
            "a_hundred_thousand_bad_frames_harm_neither_the_engine_nor_a_good_client",
            "nothing_secret_is_found_in_the_data_folder_however_the_process_ended",
            "after_a_rotation_deliveries_go_on_with_valid_signatures_and_the_old_key_can_go_once_nothing_needs_it",
            "a_message_whose_key_is_gone_fails_its_attempts_and_says_which_key_and_where",
            "a_start_without_the_right_key_is_refused_by_its_id_and_the_file",
            "who_gives_up_a_lost_key_starts_and_makes_each_endpoint_anew",
            "a_data_folder_of_layout_1_is_read_and_its_secrets_are_encrypted_at_the_first_start",
            "the_key_file_is_named_by_an_environment_variable_like_every_setting",
            "secrets_that_were_moved_from_another_endpoint_are_not_opened",
        ],
    },
];

/// The sections of the table, and which rows each has here.
const SECTIONS: &[(&str, RangeInclusive<u8>)] = &[
    ("A", 1..=7),
    ("B", 1..=7),
    ("C", 1..=10),
    ("D", 1..=9),
    ("E", 1..=4),
    ("F", 1..=5),
    ("G", 1..=3),
    ("H", 1..=5),
    ("I", 4..=4),
];

#[test]
#[allow(clippy::print_stdout, reason = "the table is for people")]
fn every_row_is_shown_by_tests_that_exist() {
    let tests = all_tests();
    let open: HashMap<&str, &str> = OPEN.iter().copied().collect();
    let mut wrong = Vec::new();
    println!("{} rows, {} tests in the workspace", ROWS.len(), tests.values().map(Vec::len).sum::<usize>());
    for row in ROWS {
        println!("\n{:<4} {}", row.name, row.what);
        for test in row.tests {
            match places(&tests, test)[..] {
                [place] => {
                    println!("       {}  {}", test.rsplit("::").next().unwrap_or(test), place.display())
                }
                [] => wrong.push(format!("{}: there is no test {test}", row.name)),
                _ => wrong.push(format!("{}: several tests are called {test}", row.name)),
            }
        }
        match open.get(row.name) {
            Some(missing) => println!("       OPEN: {missing}"),
            None if row.tests.is_empty() => wrong.push(format!("{}: no test shows it", row.name)),
            None => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_row_is_there_once_and_in_order() {
    let expected =
        SECTIONS.iter().flat_map(|(section, rows)| rows.clone().map(move |row| format!("{section}{row}")));
    let expected: Vec<String> = expected.collect();
    assert_eq!(ROWS.iter().map(|row| row.name).collect::<Vec<_>>(), expected);
    for (name, missing) in OPEN {
        assert!(expected.iter().any(|row| row == name) && !missing.is_empty(), "{name} is no row");
    }
}

/// Where there is a test of this name.
fn places<'a>(tests: &'a HashMap<String, Vec<PathBuf>>, test: &str) -> Vec<&'a Path> {
    let (within, name) = test.rsplit_once("::").unwrap_or(("", test));
    let found = tests.get(name).into_iter().flatten().map(PathBuf::as_path);
    found
        .filter(|path| within.is_empty() || path.with_extension("").iter().any(|part| part == within))
        .collect()
}

/// Every test of the workspace, and the files that have one of that name.
pub(crate) fn all_tests() -> HashMap<String, Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut tests = HashMap::<String, Vec<PathBuf>>::new();
    for member in ["engine", "storage", "protocol", "loadtest"] {
        for file in sources(&root.join(member)) {
            let text = std::fs::read_to_string(&file).expect("text");
            let place = file.strip_prefix(root).expect("within the workspace");
            for name in tests_in(&text) {
                tests.entry(name.to_owned()).or_default().push(place.to_owned());
            }
        }
    }
    tests
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files.chain(folders.iter().flat_map(|folder| sources(folder))).collect()
}

/// The functions behind `#[test]` or its like.
fn tests_in(source: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if is_test
            && let Some((before, rest)) = line.split_once("fn ")
            && matches!(before, "" | "async ")
        {
            names.push(rest.split(['(', '<']).next().unwrap_or(rest));
            is_test = false;
        }
    }
    names
}

#[test]
fn a_test_is_a_function_with_the_attribute_and_nothing_else() {
    let source = "#[test]\nfn one() {\n}\nfn helper() {}\n#[tokio::test]\n#[ignore]\nasync fn two() {}\n";
    assert_eq!(tests_in(source), ["one", "two"]);
}
